package bitmask

import (
	"encoding/binary"
	"math/bits"
)

// Row is a set of adapters: bit i%8 of byte i/8 says whether adapter i is in it.
type Row []byte

// RowBytes is the length in bytes of a row over n adapters.
func RowBytes(n int) int { return (n + 7) / 8 }

// Set puts adapter i into the row.
func (r Row) Set(i int) { r[i>>3] |= 1 << (i & 7) }

// Clear takes adapter i out of the row.
func (r Row) Clear(i int) { r[i>>3] &^= 1 << (i & 7) }

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
