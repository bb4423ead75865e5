package bitmask

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Hamming is the number of bits, over all rows, in which a and b differ.
func Hamming(a, b *Mask) (int, error) {
	union, both, err := overlap(a, b)
	return union - both, err
}

// Jaccard is the distance 1 − |a∩b| / |a∪b| over the bits of all rows: 0 for
// equal masks, 1 for masks with no adapter in common.
func Jaccard(a, b *Mask) (float64, error) {
	union, both, err := overlap(a, b)
	if err != nil || union == 0 {
		return 0, err
	}
	return 1 - float64(both)/float64(union), nil
}

// overlap counts the bits in either mask and the bits in both.
func overlap(a, b *Mask) (union, both int, err error) {
	if !sameShape(a, b) {
		return 0, 0, fmt.Errorf("%w: masks of N=%d L=%d and N=%d L=%d", ErrDims, a.N, a.Blocks, b.N, b.Blocks)
	}
	x, y := a.bits, b.bits[:len(a.bits)]
	for len(x) >= 8 {
		u, v := binary.LittleEndian.Uint64(x), binary.LittleEndian.Uint64(y)
		union += bits.OnesCount64(u | v)
		both += bits.OnesCount64(u & v)
		x, y = x[8:], y[8:]
	}
	for i := range x {
		union += bits.OnesCount8(x[i] | y[i])
		both += bits.OnesCount8(x[i] & y[i])
	}
	return union, both, nil
}
