package fleet

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// enqueue makes an operation durable, and returns its number. It is sent after release.
func (s *state) enqueue(name string, o op, most int) (n uint64, err error) {
	plain, err := json.Marshal(o)
	if err != nil {
		return 0, err
	}
	q := queued{Name: name, Epoch: o.Epoch, Op: seal(s.key, plain, name)}
	s.mu.Lock()
	if len(s.unsent) >= most {
		s.mu.Unlock()
		return 0, ErrQueueFull
	}
	n = s.last + 1
	s.note(n, q)
	s.held[n] = true
	s.mu.Unlock()
	err = s.db.Batch(func(tx *bolt.Tx) error { return putJSON(tx.Bucket(bktQueue), key64(n), q) })
	if err != nil {
		s.mu.Lock()
		s.unnote(name, n)
		s.mu.Unlock()
		s.release(n)
	}
	return n, err
}

// release lets an operation be sent.
func (s *state) release(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, n)
}

func (s *state) isHeld(n uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[n]
}

// pending is an operation that waits.
type pending struct {
	queued
	n  uint64
	op op
}

func (s *state) read(b *bolt.Bucket, n uint64) (p pending, err error) {
	v := b.Get(key64(n))
	if v == nil {
		return p, errVanished
	}
	if err := json.Unmarshal(v, &p.queued); err != nil {
		return p, fmt.Errorf("%w: operation in the queue: %v", ErrCorrupt, err)
	}
	plain, err := unseal(s.key, p.Op, p.Name)
	if err == nil {
		err = json.Unmarshal(plain, &p.op)
	}
	p.n, p.op.Epoch = n, p.Epoch
	return p, err
}

var errVanished = errors.New("fleet: gone from the queue")

// next returns operations that the fleet may not have, the oldest first, and one of a profile: so a
// failed attempt never changes the order of a profile's operations.
func (s *state) next(most int) (all []pending, err error) {
	seen := map[string]bool{}
	err = s.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bktQueue).Cursor()
		for k, _ := c.First(); k != nil && len(all) < most; k, _ = c.Next() {
			p, err := s.read(tx.Bucket(bktQueue), binary.BigEndian.Uint64(k))
			if err != nil {
				return err
			}
			if p.Sent == 0 && !seen[p.Name] && !s.isHeld(p.n) {
				all = append(all, p)
			}
			seen[p.Name] = seen[p.Name] || p.Sent == 0
		}
		return nil
	})
	return all, err
}

// sent remembers that the fleet has operations, by their numbers, and where.
func (s *state) sent(seqs map[uint64]uint64) error {
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bktQueue)
		for n, seq := range seqs {
			p, err := s.read(b, n)
			if errors.Is(err, errVanished) {
				continue
			}
			if err != nil {
				return err
			}
			p.Sent = seq
			if err := putJSON(b, key64(n), p.queued); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for n := range seqs {
			delete(s.unsent, n)
		}
	}
	return err
}

// unsend makes the operations of some profiles such as the fleet may not have: it has lost some.
func (s *state) unsend(of func(name string) bool) error {
	var again []uint64
	err := s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(bktQueue)
		all := map[uint64]queued{}
		err := b.ForEach(func(k, v []byte) error {
			var q queued
			err := json.Unmarshal(v, &q)
			if err == nil && q.Sent != 0 && of(q.Name) {
				q.Sent = 0
				all[binary.BigEndian.Uint64(k)] = q
			}
			return err
		})
		for n, q := range all {
			again, err = append(again, n), errors.Join(err, putJSON(b, key64(n), q))
		}
		return err
	})
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range again {
			s.unsent[n] = true
		}
	}
	return err
}

// waiting returns a profile's operations that no value has, the oldest first.
func (s *state) waiting(name string) (all []pending, err error) {
	s.mu.Lock()
	numbers := slices.Clone(s.waits[name])
	s.mu.Unlock()
	if len(numbers) == 0 {
		return nil, nil
	}
	err = s.db.View(func(tx *bolt.Tx) error {
		for _, n := range numbers {
			p, err := s.read(tx.Bucket(bktQueue), n)
			if errors.Is(err, errVanished) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, p)
		}
		return nil
	})
	return all, err
}

// drop erases those of a profile's operations that are done with.
func (s *state) drop(name string, done func(pending) bool) error {
	all, err := s.waiting(name)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(p pending) bool { return !done(p) })
	if len(all) == 0 {
		return nil
	}
	err = s.db.Update(func(tx *bolt.Tx) error {
		for _, p := range all {
			if err := tx.Bucket(bktQueue).Delete(key64(p.n)); err != nil {
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
	for _, p := range all {
		s.unnote(name, p.n)
	}
	return nil
}
