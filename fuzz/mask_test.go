package fuzz

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
)

// FuzzMask decodes any bytes as a mask: an error, or a mask that is k-hot and
// has the same bytes. The mask's first row must be what TopK finds again from
// logits that say so.
func FuzzMask(f *testing.F) {
	f.Add(uint32(10), uint32(3), uint16(1), []byte{0x26, 0, 0x07, 0})
	f.Add(uint32(8), uint32(8), uint16(2), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint32(9), uint32(1), uint16(1), []byte{0, 1, 0, 2})
	f.Add(uint32(1<<32-1), uint32(1), uint16(1<<16-1), []byte{})
	f.Fuzz(func(t *testing.T, n, k uint32, blocks uint16, b []byte) {
		m, err := bitmask.Decode(int(int32(n)), int(int32(k)), int(blocks), b)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Bytes(), b) {
			t.Fatalf("got bytes %x, want %x", m.Bytes(), b)
		}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		logits := make([]float32, m.N)
		for i := range logits {
			logits[i] = -float32(i % 7)
		}
		for _, i := range m.Indices(bitmask.Down, 0, nil) {
			logits[i] = 1
		}
		row := make(bitmask.Row, bitmask.RowBytes(m.N))
		if err := bitmask.TopK(logits, m.K, row); err != nil {
			t.Fatal(err)
		}
		if want := m.Row(bitmask.Down, 0); !bytes.Equal(row, want) {
			t.Fatalf("got row %x, want %x", row, want)
		}
	})
}

// FuzzPairs: bits are refused, or are a k-hot row over 2k that has one of each
// pair, as each bit says.
func FuzzPairs(f *testing.F) {
	f.Add([]byte{0b101}, 3)
	f.Add([]byte{0xff, 1}, 9)
	f.Add([]byte{0xff, 2}, 9)
	f.Add(bytes.Repeat([]byte{0xa5}, 48), 384)
	f.Fuzz(func(t *testing.T, bits []byte, k int) {
		row, err := bitmask.PairRow(bits, k)
		if err != nil {
			if !errors.Is(err, bitmask.ErrCorrupt) && !errors.Is(err, bitmask.ErrDims) {
				t.Fatalf("got %v, want ErrCorrupt or ErrDims", err)
			}
			return
		}
		if row.Count() != k {
			t.Fatalf("got %d ones in %x, want %d", row.Count(), row, k)
		}
		for i, at := range row.AppendIndices(nil) {
			if want := int32(2 * i); at != want && at != want+1 || bitmask.Row(bits).Get(i) != (at > want) {
				t.Fatalf("pair %d: got adapter %d of bits %x", i, at, bits)
			}
		}
	})
}

// FuzzTopK takes any floats: exactly k ones, and none left out that is larger
// than one that is in.
func FuzzTopK(f *testing.F) {
	f.Add(uint16(2), []byte{0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xbf, 0, 0, 0, 0x80})
	f.Add(uint16(1), []byte{0, 0, 0xc0, 0x7f})
	f.Fuzz(func(t *testing.T, k uint16, b []byte) {
		logits := make([]float32, min(len(b)/4, bitmask.MaxAdapters))
		nan := false
		for i := range logits {
			bits := uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24
			logits[i] = math.Float32frombits(bits)
			nan = nan || logits[i] != logits[i]
		}
		row := make(bitmask.Row, bitmask.RowBytes(len(logits)))
		if err := bitmask.TopK(logits, int(k), row); err != nil {
			if !nan && k >= 1 && int(k) <= len(logits) {
				t.Fatalf("got %v, want nil", err)
			}
			return
		}
		if row.Count() != int(k) {
			t.Fatalf("got %d ones, want %d", row.Count(), k)
		}
		least, most := float32(math.Inf(1)), float32(math.Inf(-1))
		for i, v := range logits {
			if row.Get(i) {
				least = min(least, v)
			} else {
				most = max(most, v)
			}
		}
		if most > least {
			t.Fatalf("left out %v, took %v", most, least)
		}
	})
}
