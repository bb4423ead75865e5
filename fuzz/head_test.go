package fuzz

import (
	"bytes"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// FuzzHead: any bytes are an error, or a head that encodes to the same bytes.
func FuzzHead(f *testing.F) {
	linear := &model.Head{Labels: []string{"a", "b"}, Hidden: 2, W: []float32{1, 2, 3, 4}, B: []float32{5, 6},
		Counts: []uint32{7, 300}}
	layers := linear.Clone()
	layers.W1, layers.B1 = []float32{1, 0, 0, 1}, []float32{0, 0}
	number := &model.Head{Hidden: 1, W: []float32{1}, B: []float32{2}, Counts: []uint32{0}}
	for _, h := range []*model.Head{linear, layers, number} {
		data, err := h.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)-1])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var h model.Head
		if h.UnmarshalBinary(data) != nil {
			return
		}
		again, err := h.MarshalBinary()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("got %x, %v, want %x", again, err, data)
		}
	})
}

// FuzzAffine: any bytes are an error, or a finite affine of the right size.
func FuzzAffine(f *testing.F) {
	p := bank.Properties{Blocks: 2, Hidden: 4, Bottleneck: 3}
	base := bank.DefaultAffine(p)
	good, err := p.EncodeAffine([]float32{1, 2, 3, 0, 0, 1, 1, 1, 1, 0, -1, 0}, base)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(make([]byte, len(good)))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := p.DecodeAffine(data, base)
		if err != nil {
			return
		}
		if len(got) != p.AffineElems() {
			t.Fatalf("got %d values, want %d", len(got), p.AffineElems())
		}
		for i, v := range got {
			if v-v != 0 {
				t.Errorf("value %d is %g", i, v)
			}
		}
	})
}
