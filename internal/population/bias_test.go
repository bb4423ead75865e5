package population

import (
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// TestBiasPrecision: z and b are where the posterior with the model's precision of b is largest.
func TestBiasPrecision(t *testing.T) {
	p := plant(4, 1, 30, 40, 6, 3, 2)
	m := &Model{C: 3, D: 6, J: 2, W: make([]float32, 18), A: make([]float32, 3), V: make([]float32, 36),
		B: make([]float32, 6), Beta: 5}
	for i := range m.V {
		m.V[i] = float32(p.v[i])
	}
	e := &Examples{}
	for i, text := range p.People[0].Text {
		e.Rows, e.Class = m.Project(e.Rows, p.Phi[int(text)*6:int(text)*6+6]),
			append(e.Class, int(p.People[0].Class[i]))
	}
	z, b, err := m.Real(e)
	if err != nil {
		t.Fatal(err)
	}
	value := func(x []float64) float64 {
		sum := (numeric.Dot(x[:2], x[:2]) + 5*numeric.Dot(x[2:], x[2:])) / 2
		for i, c := range e.Class {
			row := e.Rows[i*9 : i*9+9]
			logits := []float64{row[0] + x[2], row[1] + x[3], row[2] + x[4]}
			numeric.Add(logits, x[0], row[3:6])
			numeric.Add(logits, x[1], row[6:9])
			of := logits[c]
			sum += softmax(logits) - of
		}
		return sum
	}
	x := slices.Concat(z, b)
	least := value(x)
	for k := range x {
		for _, step := range []float64{-1e-4, 1e-4} {
			y := slices.Clone(x)
			if y[k] += step; value(y) <= least {
				t.Errorf("value %d, moved by %g: got %g, want more than %g", k, step, value(y), least)
			}
		}
	}
}

// TestBiasChosen: people whose biases are small get a prior that says so, and people whose biases
// are large another.
func TestBiasChosen(t *testing.T) {
	p := plant(2, 60, 30, 60, 6, 2, 0)
	m, r := train(t, &p.Population, &Options{Ranks: []int{1}, AxisStrengths: []float64{1}})
	if r.Bias < 2 || m.Beta != r.Bias {
		t.Errorf("deviation ½: got a precision of %g, the model's %g", r.Bias, m.Beta)
	}
	for u, a := range p.People { // most say the same always
		for i := range a.Class {
			if i%8 > 0 {
				a.Class[i] = int32(u % 2)
			}
		}
	}
	if _, r = train(t, &p.Population, &Options{Ranks: []int{1}, AxisStrengths: []float64{1}}); r.Bias > 1 {
		t.Errorf("wide biases: got a precision of %g", r.Bias)
	}
}

// TestCounts: the label prior is chosen where counts say more than a fitted bias, and only there.
func TestCounts(t *testing.T) {
	p := plant(3, 60, 30, 60, 6, 2, 0)
	for i := range p.Phi {
		p.Phi[i] *= 4 // texts say much: a label is rarely a surprise, and counts take it for one
	}
	for u := range p.People {
		p.People[u] = p.person(30)
	}
	if _, r := train(t, &p.Population, &Options{Ranks: []int{1}, AxisStrengths: []float64{1}}); r.Trials[0].Counts {
		t.Error("people who differ little: got the label prior")
	}
	q := plant(3, 60, 30, 60, 6, 8, 0)
	for u, a := range q.People { // each uses two labels, which texts have no part in
		for i := range a.Class {
			a.Class[i] = int32((u + i%2) % 8)
		}
	}
	if _, r := train(t, &q.Population,
		&Options{Ranks: []int{1}, AxisStrengths: []float64{1}, BiasStrengths: []float64{3}}); !r.Trials[0].Counts {
		t.Error("people who use two labels each: got fitted biases")
	}
}
