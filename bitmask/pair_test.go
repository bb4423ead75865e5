package bitmask

import (
	"bytes"
	"errors"
	"testing"
)

func TestPairRow(t *testing.T) {
	row, err := PairRow([]byte{0b0000_0101, 0b1}, 9)
	if err != nil {
		t.Fatal(err)
	}
	// Pairs 0, 2 and 8 take the upper adapter, the others the lower.
	if want := (Row{0b0110_0110, 0b0101_0101, 0b10}); !bytes.Equal(row, want) {
		t.Errorf("got %08b, want %08b", row, want)
	}
	for name, c := range map[string]struct {
		bits []byte
		k    int
		want error
	}{
		"short":       {[]byte{1}, 9, ErrCorrupt},
		"long":        {[]byte{1, 0}, 8, ErrCorrupt},
		"padding":     {[]byte{1, 2}, 9, ErrCorrupt},
		"none":        {nil, 0, ErrDims},
		"negative":    {nil, -1, ErrDims},
		"too many":    {make([]byte, MaxAdapters), MaxAdapters/2 + 1, ErrDims},
		"the largest": {make([]byte, MaxAdapters/16), MaxAdapters / 2, nil},
	} {
		if _, err := PairRow(c.bits, c.k); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}
