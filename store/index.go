package store

import (
	"context"
	"encoding/binary"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/bitmask"
)

// index is the state of the index adapter → profiles, which is derived from
// the records and kept in batches: bktIndex lacks what is in pending.
//
// It also counts, exactly, how many profiles select each adapter.
type index struct {
	off bool // not kept: queries read every profile
	// sets is the whole index, if nothing of it may be in the file; else nil.
	// It is then built by each Open, and never behind.
	sets map[uint32]*bankSets

	lock    sync.Mutex
	ready   chan struct{}          // closed unless a rebuild is due or under way
	built   bool                   // ready is closed
	resets  int                    // times that a rebuild was asked for
	emptied bool                   // while rebuilding: bktIndex has been emptied
	next    uint64                 // while rebuilding: numbers from here on are to come
	pending map[uint32]pendingMask // by number
	use     map[uint32]*bankUse    // by bank
	bytes   int64                  // of keys and values in bktIndex
	failed  error                  // of the background writer

	wake chan struct{}
	stop context.CancelFunc
	done chan struct{} // closed when the background writer has ended
}

// pendingMask is a number's mask in bktIndex, and now.
type pendingMask struct{ indexed, current maskRef }

// A flush waits for a sixteenth of the profiles to have changed, within these
// bounds: it rewrites most sets of every 65,536 numbers that it touches.
const (
	minPending = 512
	maxPending = 1 << 14
)

// mark is the value keyIndex: the index is of after this many commits.
type mark struct{ commits, bytes uint64 }

func readMark(tx *bolt.Tx) (m mark, err error) {
	v := tx.Bucket(bktMeta).Get(keyIndex)
	if v == nil {
		return m, nil
	}
	payload, err := unseal(tagMeta, keyIndex, v)
	if err != nil {
		return m, corrupt("index mark: %w", err)
	}
	d := decoder{b: payload}
	m.commits, m.bytes = d.uvarint("commits"), d.uvarint("bytes")
	return m, d.end()
}

func (m mark) write(tx *bolt.Tx) error {
	b := binary.AppendUvarint(nil, m.commits)
	b = binary.AppendUvarint(b, m.bytes)
	return tx.Bucket(bktMeta).Put(keyIndex, seal(tagMeta, keyIndex, b))
}

// add takes in what a transaction changed. The caller holds Store.writer, so
// that changes come in the order in which they were committed.
func (ix *index) add(changes []change) {
	if ix == nil || ix.off || len(changes) == 0 {
		return
	}
	ix.lock.Lock()
	defer ix.lock.Unlock()
	if ix.failed != nil {
		return
	}
	for _, c := range changes {
		if !ix.built && uint64(c.number) >= ix.next {
			continue // the rebuild will come to it
		}
		if ix.sets != nil {
			ix.change(c)
		} else {
			ix.wait(c)
		}
		ix.count(c.old, -1)
		ix.count(c.new, +1)
	}
	switch n := len(ix.pending); {
	case n > 4*maxPending: // the writer cannot follow: start over when it can
		ix.reset()
		fallthrough
	case n >= ix.flushAt():
		ix.signal()
	}
}

// wait keeps a change for the next flush.
func (ix *index) wait(c change) {
	p, ok := ix.pending[c.number]
	if !ok {
		p.indexed = c.old
	}
	p.current = c.new
	ix.pending[c.number] = p
}

func (ix *index) flushAt() int {
	profiles := 0
	for _, u := range ix.use {
		profiles += int(u.profiles)
	}
	return min(max(profiles/16, minPending), maxPending)
}

// await returns once no rebuild is under way, and whether the index may be
// used.
func (ix *index) await(ctx context.Context) (bool, error) {
	if ix.off {
		return false, nil
	}
	for {
		ix.lock.Lock()
		ready, built, failed := ix.ready, ix.built, ix.failed
		ix.lock.Unlock()
		if built {
			return failed == nil, nil
		}
		select {
		case <-ready:
		case <-ix.done:
			return false, ErrClosed
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// FlushIndex writes what the index lacks. Nobody needs to call it: With and
// UseCounts know what has not been written yet, and Close writes it.
func (s *Store) FlushIndex(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.opts.ReadOnly {
		return ErrReadOnly
	}
	ok, err := s.index.await(ctx)
	if err != nil {
		return err
	}
	if !ok {
		s.index.lock.Lock()
		defer s.index.lock.Unlock()
		return s.index.failed // nil if the index is off
	}
	return s.flush(ctx)
}

// setKey is the key of one set of the index: bank, side, block and adapter in
// eight bytes, then the upper half of the numbers.
func setKey(bank uint32, side bitmask.Side, block, adapter int, high uint16) []byte {
	b := binary.BigEndian.AppendUint32(nil, bank)
	b = binary.BigEndian.AppendUint16(b, uint16(side)<<15|uint16(block))
	b = binary.BigEndian.AppendUint16(b, uint16(adapter))
	return binary.BigEndian.AppendUint16(b, high)
}

const setKeySize = 10
