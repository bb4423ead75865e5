package fuzz

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/xpeft/xpeft/internal/axes"
)

// FuzzJoint: any bytes are an error, or joint axes that encode to the same bytes and add finite
// numbers to logits.
func FuzzJoint(f *testing.F) {
	for _, a := range []*axes.Joint{
		{Labels: []string{"yes", "no"}, People: 3, V: []float32{1, 2, 3, 4, 5, 6}, B: []float32{1, -1},
			Range: []float32{2.5}, Digits: []int{8}},
		{Labels: []string{"a", "b", "c"}, V: []float32{1, 0, -1, 65504, -65504, 0.5}, B: []float32{0, 0, 0, 1, 1, 1},
			Range: []float32{1, 1 << 20}, Digits: []int{1, 3}},
		{Labels: []string{"yes", "no"}, V: []float32{1, 2}, B: []float32{1, -1}, Range: []float32{1 << 20},
			Digits: []int{8}, Beta: 4, Keys: []uint64{1, 1 << 63}, Own: []float32{1, -1, 65504, -65504, 0, 0, 0.5, 2}},
	} {
		b, err := a.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b[:len(b)-1], true)
		huge := bytes.Clone(b)
		binary.LittleEndian.PutUint32(huge[16:], 65_536)
		f.Add(huge, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		data = bytes.Clone(data)
		if sealed {
			resealAxes(data) // its checksum is in the same place
		}
		a, err := axes.UnmarshalJoint(data)
		if err != nil {
			checkBankError(t, err)
			return
		}
		again, err := a.MarshalBinary()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("written again: got %x, %v, want %x", again, err, data)
		}
		if err := a.Properties().Validate(); err != nil {
			t.Fatal(err)
		}
		w, bias := make([]float32, len(a.Labels)*a.Dim()), make([]float32, len(a.Labels))
		a.AddRow(w, bias, bytes.Repeat([]byte{0x5a}, (a.K()+7)/8))
		for i, key := range a.Keys {
			if at, ok := a.Text(key); !ok || at != i {
				t.Fatalf("text %d is number %d, %t", i, at, ok)
			}
			a.AddText(bias, i, a.Levels(nil, bytes.Repeat([]byte{0x5a}, (a.K()+7)/8)))
		}
		for _, v := range append(w, bias...) {
			if v-v != 0 {
				t.Fatalf("got %g", v)
			}
		}
	})
}
