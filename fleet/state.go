package fleet

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// state is what a node keeps beside its folder, in a bbolt file: which value of each profile the
// folder has, how far the watch is, and the operations that no value has yet.
type state struct {
	db     *bolt.DB
	key    []byte // seals ids and operations
	mu     sync.Mutex
	recent map[string]entry    // not in the file yet; a crash costs taking them in again
	waits  map[string][]uint64 // by profile: its operations in the file, the oldest first
	unsent map[uint64]bool     // of these, those that the fleet may not have
	held   map[uint64]bool     // operations that must not be sent yet
	last   uint64              // number of the newest operation
	places map[int]place
}

// entry says which value of a profile the folder has.
type entry struct {
	Seq     uint64 `json:"s"` // of the stream of values; 0: none
	Epoch   uint64 `json:"e"`
	Through uint64 `json:"t"`
	Gone    bool   `json:"g,omitempty"`
	ID      []byte `json:"i,omitempty"` // sealed
}

// place is how far the watch of a partition is.
type place struct {
	Stream time.Time `json:"stream"` // when it was created: another one has other sequences
	Seq    uint64    `json:"seq"`
	Beat   uint64    `json:"beat,omitempty"` // of the node's own newest beat: nobody else writes there
}

// queued is an operation in the file.
type queued struct {
	Name  string `json:"n"`
	Epoch uint64 `json:"e"`
	Sent  uint64 `json:"s"` // its sequence in the stream of operations; 0: the fleet may not have it
	Op    []byte `json:"o"` // sealed
}

var (
	bktEntries = []byte("entries")
	bktQueue   = []byte("queue")
	bktPlaces  = []byte("places")
	bktFolding = []byte("folding")
)

func openState(path string, key []byte) (*state, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("fleet: %s: %w", path, err)
	}
	db.MaxBatchDelay = time.Millisecond // what an operation waits here it takes longer to all nodes
	s := &state{db: db, key: key, recent: map[string]entry{}, waits: map[string][]uint64{},
		unsent: map[uint64]bool{}, held: map[uint64]bool{}, places: map[int]place{}}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bktEntries, bktQueue, bktPlaces, bktFolding} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return errors.Join(tx.Bucket(bktQueue).ForEach(func(k, v []byte) error {
			var q queued
			if err := json.Unmarshal(v, &q); err != nil {
				return fmt.Errorf("%w: %s: %v", ErrCorrupt, path, err)
			}
			s.note(binary.BigEndian.Uint64(k), q)
			return nil
		}), tx.Bucket(bktPlaces).ForEach(func(k, v []byte) error {
			var p place
			err := json.Unmarshal(v, &p)
			s.places[int(binary.BigEndian.Uint64(k))] = p
			return err
		}))
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *state) close() error { return errors.Join(s.flush(), s.db.Close()) }

func key64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// entry returns what is known of a profile.
func (s *state) entry(name string) (e entry, err error) {
	s.mu.Lock()
	e, ok := s.recent[name]
	s.mu.Unlock()
	if ok {
		return e, nil
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(bktEntries).Get([]byte(name)); v != nil {
			return json.Unmarshal(v, &e)
		}
		return nil
	})
	return e, err
}

// mostRecent is how many entries are in memory alone.
const mostRecent = 4096

// set remembers which value the folder has.
func (s *state) set(name string, e entry) error {
	s.mu.Lock()
	s.recent[name] = e
	full := len(s.recent) >= mostRecent
	s.mu.Unlock()
	if full {
		return s.flush()
	}
	return nil
}

// move changes how far a watch is.
func (s *state) move(partition int, change func(*place)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.places[partition]
	change(&p)
	s.places[partition] = p
}

func (s *state) place(partition int) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places[partition]
}

// flush writes what is in memory alone.
func (s *state) flush() error {
	s.mu.Lock()
	recent, places := maps.Clone(s.recent), maps.Clone(s.places)
	s.mu.Unlock()
	err := s.db.Update(func(tx *bolt.Tx) error {
		for name, e := range recent {
			if err := putJSON(tx.Bucket(bktEntries), []byte(name), e); err != nil {
				return err
			}
		}
		for n, p := range places {
			if err := putJSON(tx.Bucket(bktPlaces), key64(uint64(n)), p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, e := range recent {
		if now := s.recent[name]; now.Seq == e.Seq && now.Through == e.Through && now.Gone == e.Gone {
			delete(s.recent, name)
		}
	}
	return nil
}

func putJSON(b *bolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}

// names lists all profiles that have an entry.
func (s *state) names(partitions, partition int) (all map[string]bool, err error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	all = map[string]bool{}
	err = s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bktEntries).ForEach(func(k, _ []byte) error {
			if name := string(k); partitionOf(name, partitions) == partition {
				all[name] = true
			}
			return nil
		})
	})
	return all, err
}

// note counts an operation that is in the file. The caller holds mu, or is alone.
func (s *state) note(n uint64, q queued) {
	s.waits[q.Name] = append(s.waits[q.Name], n)
	s.last = max(s.last, n)
	if q.Sent == 0 {
		s.unsent[n] = true
	}
}

// unnote is the reverse. The caller holds mu.
func (s *state) unnote(name string, n uint64) {
	delete(s.unsent, n)
	s.waits[name] = slices.DeleteFunc(s.waits[name], func(m uint64) bool { return m == n })
	if len(s.waits[name]) == 0 {
		delete(s.waits, name)
	}
}

// counts are how many operations no value has, and how many of these the fleet may not have.
func (s *state) counts() (all, unsent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.waits {
		all += len(w)
	}
	return all, len(s.unsent)
}
