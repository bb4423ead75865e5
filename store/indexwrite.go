package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// flush writes what is pending, one transaction for each 65,536 numbers.
// Changes that come meanwhile may be left for the next flush.
func (s *Store) flush(ctx context.Context) error {
	ix := s.index
	ix.lock.Lock()
	steps, memory := len(ix.groups()), ix.sets != nil
	ix.lock.Unlock()
	if memory {
		return nil
	}
	for range max(steps, 1) {
		err := s.enqueue(&writeOp{ctx: ctx, fn: s.flushStep, alone: true, internal: true})
		if err != nil && err != errNothing {
			return fmt.Errorf("store: index: %w", err)
		}
	}
	return nil
}

// groups sorts the pending numbers by their upper halves.
func (ix *index) groups() map[uint16][]uint32 {
	groups := map[uint16][]uint32{}
	for n := range ix.pending {
		groups[uint16(n>>16)] = append(groups[uint16(n>>16)], n)
	}
	return groups
}

// flushStep writes the pending changes of one group. With the last one the
// index is up to date, and says so.
func (s *Store) flushStep(w *writeTx) error {
	ix := s.index
	ix.lock.Lock()
	defer ix.lock.Unlock()
	if !ix.built || ix.failed != nil {
		return errNothing
	}
	groups := ix.groups()
	if len(groups) > 0 {
		high := slices.Min(slices.Collect(maps.Keys(groups)))
		numbers := groups[high]
		slices.Sort(numbers)
		deltas := newDeltas()
		for _, n := range numbers {
			deltas.add(n, ix.pending[n])
		}
		grown, err := deltas.write(w, high)
		if err != nil {
			return err
		}
		w.onCommit = append(w.onCommit, func() {
			ix.lock.Lock()
			defer ix.lock.Unlock()
			ix.bytes += grown
			for _, n := range numbers {
				delete(ix.pending, n)
			}
		})
		if len(groups) > 1 {
			return nil
		}
		return ix.finish(w.Tx, w.tally.commits, grown)
	}
	m, err := readMark(w.Tx)
	if err == nil && m.commits == w.tally.commits {
		return errNothing
	}
	return ix.finish(w.Tx, w.tally.commits, 0)
}

// finish marks the index as up to date.
func (ix *index) finish(tx *bolt.Tx, commits uint64, grown int64) error {
	if err := ix.writeUse(tx); err != nil {
		return err
	}
	return mark{commits, uint64(max(ix.bytes+grown, 0))}.write(tx)
}

// rebuild makes the index from the records, in transactions of some thousands.
func (s *Store) rebuild(ctx context.Context) error {
	s.opts.Logger.Info("rebuilding the index")
	ix := s.index
	for {
		ix.lock.Lock()
		built, step := ix.built, s.rebuildStep
		switch {
		case ix.sets != nil:
			step = s.memoryStep
		case !ix.emptied:
			step = s.emptyIndex
		}
		ix.lock.Unlock()
		if built {
			return s.flush(ctx)
		}
		err := s.enqueue(&writeOp{ctx: ctx, fn: step, alone: true, internal: true})
		if err != nil && err != errNothing {
			return err
		}
	}
}

// emptyIndex is the first step of a rebuild.
func (s *Store) emptyIndex(w *writeTx) error {
	if err := w.Tx.Bucket(bktMeta).Delete(keyIndex); err != nil {
		return err
	}
	if err := w.DeleteBucket(bktIndex); err != nil {
		return err
	}
	if _, err := w.CreateBucket(bktIndex); err != nil {
		return err
	}
	w.onCommit = append(w.onCommit, func() {
		ix := s.index
		ix.lock.Lock()
		defer ix.lock.Unlock()
		ix.emptied, ix.bytes = true, 0
	})
	return nil
}

// The most that one step of a rebuild holds in memory: profiles, and ones of
// their masks.
const (
	stepProfiles = 1 << 14
	stepOnes     = 1 << 24
)

// rebuildStep indexes the next records.
func (s *Store) rebuildStep(w *writeTx) error {
	ix := s.index
	masks, next, resets, err := ix.nextMasks(w)
	if err != nil {
		return err
	}
	deltas, high := newDeltas(), uint16(0)
	for _, c := range masks {
		high = uint16(c.number >> 16) // of all of them
		deltas.add(c.number, pendingMask{current: c.new})
	}
	grown, err := deltas.write(w, high)
	if err != nil {
		return err
	}
	w.onCommit = append(w.onCommit, func() { ix.advance(resets, masks, grown, next) })
	return nil
}

// nextMasks reads the masks that the rebuild comes to next; resets is for
// advance.
func (ix *index) nextMasks(w *writeTx) (masks []change, next uint64, resets int, err error) {
	ix.lock.Lock()
	from, resets := ix.next, ix.resets
	ix.lock.Unlock()
	masks, next, err = w.masksFrom(from)
	return masks, next, resets, err
}

// masksFrom reads the masks of the next records, all with the same upper half
// of their numbers, as changes from nothing; next is where to go on. A record
// that cannot be read is left to Check.
func (w *writeTx) masksFrom(from uint64) (masks []change, next uint64, err error) {
	ones, c := 0, w.profiles.Cursor()
	for k, _ := c.Seek(key32(uint32(from))); k != nil && from>>32 == 0; k, _ = c.Next() {
		n, err := number(k)
		if err != nil {
			return nil, 0, err
		}
		if len(masks) > 0 && (n>>16 != masks[0].number>>16 || len(masks) == stepProfiles || ones >= stepOnes) {
			return masks, uint64(n), nil
		}
		p, err := w.decode(n)
		if err != nil || !bytes.Equal(w.ids.Get(w.idKey([]byte(p.ID))), k) {
			continue // damaged, or of an import that is not merged
		}
		masks = append(masks, change{number: n, new: maskOf(p)})
		ones += 2 * p.Mask.Blocks * p.Mask.K
	}
	return masks, 1 << 32, nil
}

// advance takes in a step of a rebuild, unless the rebuild was asked for again
// while the step ran.
func (ix *index) advance(resets int, masks []change, grown int64, next uint64) {
	ix.lock.Lock()
	defer ix.lock.Unlock()
	if resets != ix.resets {
		return
	}
	for _, c := range masks {
		ix.count(c.new, 1)
		if ix.sets != nil {
			ix.change(c)
		}
	}
	ix.bytes += grown
	ix.next = next
	if next>>32 != 0 && !ix.built {
		ix.built = true
		close(ix.ready)
	}
}
