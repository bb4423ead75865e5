package bitmask

import (
	"fmt"
	"math"
)

// TopK makes row the set of the k largest logits; among equal logits the
// lowest index wins. +0 and −0 are equal, infinities are ordered, a NaN is
// [ErrNaN] and leaves row as it was. It does not allocate.
//
// It finds the k-th largest value by radix selection, one byte of the float's
// ordered form at a time: four passes over the logits, whatever their values.
func TopK(logits []float32, k int, row Row) error {
	n := len(logits)
	if n > MaxAdapters || k < 1 || k > n || len(row) != RowBytes(n) {
		return fmt.Errorf("%w: top %d of %d logits into a row of %d bytes", ErrDims, k, n, len(row))
	}
	for i, v := range logits {
		if v != v {
			return fmt.Errorf("%w: index %d", ErrNaN, i)
		}
	}
	least, ties := kthLargest(logits, k)
	clear(row)
	for i, v := range logits {
		switch key := order(v); {
		case key > least:
			row.Set(i)
		case key == least && ties > 0:
			row.Set(i)
			ties--
		}
	}
	return nil
}

// kthLargest returns the ordered form of the k-th largest logit, and how many
// logits equal to it are among the k largest.
func kthLargest(logits []float32, k int) (key uint32, ties int) {
	var known uint32 // mask of the bytes of key found so far
	for shift := 24; shift >= 0; shift -= 8 {
		var count [256]int32
		for _, v := range logits {
			if o := order(v); o&known == key {
				count[o>>shift&0xff]++
			}
		}
		digit := 255
		for int(count[digit]) < k {
			k -= int(count[digit])
			digit--
		}
		key |= uint32(digit) << shift
		known |= 0xff << shift
	}
	return key, k
}

// order maps a float to an integer so that a < b exactly if order(a) < order(b).
func order(v float32) uint32 {
	b := math.Float32bits(v + 0) // −0 + 0 is +0
	negative := uint32(int32(b) >> 31)
	return b ^ (negative | 1<<31)
}
