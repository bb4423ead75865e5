package store

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/bitmask"
)

// The index of an encrypted store says, in the clear, what its profiles'
// masks are. So it is kept in memory alone, and made by each Open.

// bankSets are, for one bank, the numbers of the profiles that select each
// adapter.
type bankSets struct {
	n    int
	sets []*roaring.Bitmap // [side][block][adapter], flat; nil: none
}

// change applies what became of one profile. The caller holds ix.lock.
func (ix *index) change(c change) {
	ix.eachSet(c.old, func(set **roaring.Bitmap) {
		if *set != nil {
			(*set).Remove(c.number)
		}
	})
	ix.eachSet(c.new, func(set **roaring.Bitmap) {
		if *set == nil {
			*set = roaring.New()
		}
		(*set).Add(c.number)
	})
}

// eachSet calls fn with the set of every one of a mask.
func (ix *index) eachSet(m maskRef, fn func(set **roaring.Bitmap)) {
	if m.mask == nil {
		return
	}
	b := ix.sets[m.bank]
	if b == nil {
		b = &bankSets{m.mask.N, make([]*roaring.Bitmap, 2*m.mask.Blocks*m.mask.N)}
		ix.sets[m.bank] = b
	}
	var buf [256]int32
	for row := range 2 * m.mask.Blocks {
		for _, i := range m.mask.Indices(bitmask.Side(row/m.mask.Blocks), row%m.mask.Blocks, buf[:0]) {
			fn(&b.sets[row*b.n+int(i)])
		}
	}
}

// numbers is a copy of one set, which there can be. The caller holds ix.lock.
func (ix *index) numbers(bank uint32, side bitmask.Side, block, adapter int) []uint32 {
	b := ix.sets[bank]
	if b == nil {
		return nil
	}
	blocks := len(b.sets) / (2 * b.n)
	if set := b.sets[(int(side)*blocks+block)*b.n+adapter]; set != nil {
		return set.ToArray()
	}
	return nil
}

// memoryStep is rebuildStep without a file: it reads, and holds up writers so
// that none comes between.
func (s *Store) memoryStep(w *writeTx) error {
	masks, next, resets, err := s.index.nextMasks(w)
	if err != nil {
		return err
	}
	s.index.advance(resets, masks, 0, next)
	return errNothing
}
