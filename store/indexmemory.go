package store

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/bitmask"
)

// The index of an encrypted store says, in the clear, what its profiles'
// masks are. So it is kept in memory alone, and made by each Open.

// setID names one set of the index: the numbers of the profiles over a bank
// that select an adapter.
type setID struct {
	bank           uint32
	side           bitmask.Side
	block, adapter uint16
}

// change applies what became of one profile. The caller holds ix.lock.
func (ix *index) change(c change) {
	eachOne(c.old, func(id setID) {
		if set := ix.sets[id]; set != nil {
			set.Remove(c.number)
		}
	})
	eachOne(c.new, func(id setID) {
		set := ix.sets[id]
		if set == nil {
			set = roaring.New()
			ix.sets[id] = set
		}
		set.Add(c.number)
	})
}

// eachOne calls fn for every one of a mask.
func eachOne(m maskRef, fn func(id setID)) {
	if m.mask == nil {
		return
	}
	var buf [256]int32
	for row := range 2 * m.mask.Blocks {
		side, block := bitmask.Side(row/m.mask.Blocks), row%m.mask.Blocks
		for _, i := range m.mask.Indices(side, block, buf[:0]) {
			fn(setID{m.bank, side, uint16(block), uint16(i)})
		}
	}
}

// numbers is a copy of one set. The caller holds ix.lock.
func (ix *index) numbers(id setID) []uint32 {
	if set := ix.sets[id]; set != nil {
		return set.ToArray()
	}
	return nil
}

// memoryStep is rebuildStep without a file: it reads, and holds up writers so
// that none comes between.
func (s *Store) memoryStep(w *writeTx) error {
	ix := s.index
	ix.lock.Lock()
	from, resets := ix.next, ix.resets
	ix.lock.Unlock()
	masks, next, err := w.masksFrom(from)
	if err != nil {
		return err
	}
	ix.advance(resets, masks, 0, next)
	return errNothing
}
