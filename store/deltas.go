package store

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/bitmask"
)

// deltas are changes to the sets of numbers that share their upper half.
type deltas map[uint32]*bankDeltas // by bank

type bankDeltas struct {
	n, blocks int
	sets      []setDelta // [side][block][adapter], flat
}

type setDelta struct{ add, remove []uint16 }

func newDeltas() deltas { return deltas{} }

// add notes what a number's mask changes.
func (d deltas) add(n uint32, p pendingMask) {
	low := uint16(n)
	same := p.indexed.bank == p.current.bank && p.indexed.mask != nil && p.current.mask != nil &&
		p.indexed.mask.N == p.current.mask.N
	d.each(p.indexed, func(s *setDelta, side bitmask.Side, block, i int) {
		if !same || !p.current.mask.Row(side, block).Get(i) {
			s.remove = append(s.remove, low)
		}
	})
	d.each(p.current, func(s *setDelta, side bitmask.Side, block, i int) {
		if !same || !p.indexed.mask.Row(side, block).Get(i) {
			s.add = append(s.add, low)
		}
	})
}

// each calls fn for every one of a mask.
func (d deltas) each(m maskRef, fn func(s *setDelta, side bitmask.Side, block, i int)) {
	if m.mask == nil {
		return
	}
	b := d[m.bank]
	if b == nil {
		b = &bankDeltas{n: m.mask.N, blocks: m.mask.Blocks}
		b.sets = make([]setDelta, 2*b.blocks*b.n)
		d[m.bank] = b
	}
	var buf [256]int32
	for row := range 2 * b.blocks {
		side, block := bitmask.Side(row/b.blocks), row%b.blocks
		for _, i := range m.mask.Indices(side, block, buf[:0]) {
			fn(&b.sets[row*b.n+int(i)], side, block, int(i))
		}
	}
}

// write applies the changes in the order of keys, and returns by how much the
// index has grown.
func (d deltas) write(w *writeTx, high uint16) (grown int64, err error) {
	bucket := w.Tx.Bucket(bktIndex)
	for _, bank := range slices.SortedFunc(maps.Keys(d), cmp.Compare[uint32]) {
		b := d[bank]
		for at := range b.sets {
			if len(b.sets[at].add)+len(b.sets[at].remove) == 0 {
				continue
			}
			row, adapter := at/b.n, at%b.n
			key := setKey(bank, bitmask.Side(row/b.blocks), row%b.blocks, adapter, high)
			by, err := b.sets[at].write(bucket, key)
			if err != nil {
				return 0, err
			}
			grown += by
		}
	}
	return grown, nil
}

func (s *setDelta) write(bucket *bolt.Bucket, key []byte) (grown int64, err error) {
	old := bucket.Get(key)
	set, err := readSet(key, old)
	if err != nil {
		return 0, err
	}
	for _, n := range s.remove {
		set.Remove(uint32(n))
	}
	for _, n := range s.add {
		set.Add(uint32(n))
	}
	if old != nil {
		grown -= int64(len(key) + len(old))
	}
	if set.IsEmpty() {
		return grown, bucket.Delete(key)
	}
	b, err := set.ToBytes()
	if err != nil {
		return 0, err
	}
	b = seal(tagIndex, key, b)
	return grown + int64(len(key)+len(b)), bucket.Put(key, b)
}

// readSet decodes a set of lower halves; none is an empty set.
func readSet(key, value []byte) (*roaring.Bitmap, error) {
	set := roaring.New()
	if value == nil {
		return set, nil
	}
	payload, err := unseal(tagIndex, key, value)
	if err == nil {
		err = set.UnmarshalBinary(payload)
	}
	if err != nil {
		return nil, corrupt("index set %x: %w", key, err)
	}
	return set, nil
}

// setNumbers appends the numbers in a set to dst.
func setNumbers(dst []uint32, key, value []byte) ([]uint32, error) {
	set, err := readSet(key, value)
	if err != nil {
		return nil, err
	}
	high := uint32(binary.BigEndian.Uint16(key[setKeySize-2:])) << 16
	it := set.Iterator()
	for it.HasNext() {
		dst = append(dst, high|it.Next())
	}
	return dst, nil
}
