package population

import (
	"context"
	"math"
	"testing"
)

// TestWeights: an example of weight 2 counts as if it were there twice.
func TestWeights(t *testing.T) {
	p := plant(4, 1, 30, 40, 6, 3, 2)
	m := &Model{C: 3, D: 6, J: 2, W: make([]float32, 18), A: make([]float32, 3), V: make([]float32, 36),
		B: make([]float32, 6), Range: []float32{2.5, 2}, Digits: []int{8, 8}}
	for i := range m.V {
		m.V[i] = float32(p.v[i])
	}
	weighted, twice := &Examples{}, &Examples{}
	for i, text := range p.People[0].Text {
		row, class := m.Project(nil, p.Phi[int(text)*6:int(text)*6+6]), int(p.People[0].Class[i])
		weighted.Rows, weighted.Class, weighted.Weight = append(weighted.Rows, row...), append(weighted.Class, class),
			append(weighted.Weight, 1+float64(i%2))
		for range 1 + i%2 {
			twice.Rows, twice.Class = append(twice.Rows, row...), append(twice.Class, class)
		}
	}
	z, b, err := m.Real(weighted)
	if err != nil {
		t.Fatal(err)
	}
	wantZ, wantB, err := m.Real(twice)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range append(z, b...) {
		if want := append(wantZ, wantB...)[i]; math.Abs(v-want) > 1e-6 {
			t.Errorf("value %d: got %g, want %g", i, v, want)
		}
	}
	got, err := m.Fit(context.Background(), weighted)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := m.Fit(context.Background(), twice); err != nil || string(got.Level) != string(want.Level) ||
		string(got.Bias) != string(want.Bias) {
		t.Errorf("got %+v, want %+v, %v", got, want, err)
	}
}
