package bitmask

import "fmt"

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
