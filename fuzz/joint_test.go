package fuzz

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/xpeft/xpeft/bank"
)

// FuzzJoint: any bytes are an error, or joint axes that encode to the same bytes and fold to finite numbers.
func FuzzJoint(f *testing.F) {
	for _, a := range []*bank.Joint{
		{Labels: []string{"agree", "disagree"}, People: 7, V: []float32{0.5, -0.25, 3, 1, 2, 0, -1, 0.75}, B: []float32{0.5, -0.5, 2, 1}, Range: []float32{2.5, 1}, Digits: []int{8, 2}},
		{Axes: bank.Digest{1}, Head: bank.Digest{2}, Labels: []string{"a", "b", "ä"}, V: []float32{1, 2, 65504}, B: []float32{0, 0, 1}, Range: []float32{1 << 20}, Digits: []int{1}},
	} {
		b, err := a.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, false)
		f.Add(b[:len(b)-1], true)
		for _, at := range []int{16, 20, 24, 96} {
			huge := bytes.Clone(b)
			binary.LittleEndian.PutUint32(huge[at:], 1<<28)
			f.Add(huge, true)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, sealed bool) {
		data = bytes.Clone(data)
		if sealed {
			resealAxes(data)
		}
		a, err := bank.UnmarshalJoint(data)
		if err != nil {
			checkBankError(t, err)
			return
		}
		again, err := a.MarshalBinary()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("written again: got %x, %v, want %x", again, err, data)
		}
		row := bytes.Repeat([]byte{0x5a}, (a.K()+7)/8)
		w, bias := make([]float32, len(a.Labels)*a.Dim()), make([]float32, len(a.Labels))
		a.AddRow(w, bias, row)
		for _, v := range append(w, bias...) {
			if v-v != 0 {
				t.Fatalf("got %g", v)
			}
		}
		if places := a.Places(row); !bytes.Equal(a.Places(a.Row(places)), places) {
			t.Fatalf("places %v", places)
		}
	})
}
