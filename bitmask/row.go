package bitmask

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Row is a set of adapters: bit i%8 of byte i/8 says whether adapter i is in it.
type Row []byte

// RowBytes is the length in bytes of a row over n adapters.
func RowBytes(n int) int { return (n + 7) / 8 }

// Set puts adapter i into the row.
func (r Row) Set(i int) { r[i>>3] |= 1 << (i & 7) }

// Get says whether adapter i is in the row.
func (r Row) Get(i int) bool { return r[i>>3]>>(i&7)&1 == 1 }

// Count is the number of adapters in the row.
func (r Row) Count() int {
	n := 0
	for len(r) >= 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(r))
		r = r[8:]
	}
	for _, b := range r {
		n += bits.OnesCount8(b)
	}
	return n
}

// AppendIndices appends the row's adapters to dst, in ascending order.
func (r Row) AppendIndices(dst []int32) []int32 {
	for i, b := range r {
		for b != 0 {
			dst = append(dst, int32(i<<3+bits.TrailingZeros8(b)))
			b &= b - 1
		}
	}
	return dst
}

// tailClear says whether the bits from n on are zero.
func (r Row) tailClear(n int) bool {
	return n&7 == 0 || r[len(r)-1]>>(n&7) == 0
}

// A row over N = 2k adapters that takes one of each pair (2i, 2i+1) is k-hot, and
// k bits say which: bit i of them, in the order of a row's, is whether it takes
// adapter 2i+1.

// PairRow returns the row over 2k adapters that k stored bits stand for.
func PairRow(bits []byte, k int) (Row, error) {
	if err := CheckPairs(bits, k); err != nil {
		return nil, err
	}
	row := make(Row, RowBytes(2*k))
	for i := range k {
		if Row(bits).Get(i) {
			row.Set(2*i + 1)
		} else {
			row.Set(2 * i)
		}
	}
	return row, nil
}

// CheckPairs says whether bits are k bits as stored: ⌈k/8⌉ bytes, with no one
// from k on.
func CheckPairs(bits []byte, k int) error {
	if err := checkDims(2*k, k, 1); err != nil {
		return err
	}
	if len(bits) != RowBytes(k) {
		return fmt.Errorf("%w: %d bytes, want %d for k=%d", ErrCorrupt, len(bits), RowBytes(k), k)
	}
	if !Row(bits).tailClear(k) {
		return fmt.Errorf("%w: a one after bit %d", ErrCorrupt, k-1)
	}
	return nil
}
