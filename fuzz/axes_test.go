package fuzz

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/model"
)

// resealAxes makes the checksum of a file of axes right. It writes to b.
func resealAxes(b []byte) {
	if len(b) < 16 {
		return
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.LittleEndian.PutUint32(b[12:], crc32.Update(crc32.Checksum(b[:12], table), table, b[16:]))
}

// FuzzAxes: any bytes are an error, or axes that encode to the same bytes, fold, and project to
// finite numbers.
func FuzzAxes(f *testing.F) {
	for _, a := range []*axes.Axes{
		{Features: model.Features{Taps: []int{0, 2}, Hidden: 3, Mean: []float32{1, 2, 3, -1, -2, -3},
			Scale: []float32{0.5, 2}}, Digits: 2, V: []float32{0.5, 0.5, 0.5, 0.5, 0, 0, 0.5, -0.5, 0.5, -0.5, 0, 0}},
		{Features: model.Features{Taps: []int{63}, Hidden: 1, Mean: []float32{0}, Scale: []float32{1}}, Digits: 8,
			V: []float32{-1}},
	} {
		b, err := a.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b[:len(b)-1], true)
		huge := bytes.Clone(b)
		binary.LittleEndian.PutUint32(huge[20:], 65_536)
		f.Add(huge, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		data = bytes.Clone(data)
		if sealed {
			resealAxes(data)
		}
		a, err := axes.Unmarshal(data)
		if err != nil {
			checkBankError(t, err)
			return
		}
		again, err := a.MarshalBinary()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("written again: got %x, %v, want %x", again, err, data)
		}
		w := make([]float32, a.Dim())
		a.AddRow(w, bytes.Repeat([]byte{0x5a}, (a.K()+7)/8), 1)
		for _, v := range append(w, a.Project(nil, a.Phi(nil, make([]float32, 2*a.Dim())))...) {
			if v-v != 0 {
				t.Fatalf("got %g", v)
			}
		}
	})
}
