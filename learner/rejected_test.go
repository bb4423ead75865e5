package learner

import (
	"math"
	"slices"
	"testing"
)

// TestLosses compares the loss of each row and its gradient with the formulas: −log p of a label,
// −log(1 − p) of one that is rejected.
func TestLosses(t *testing.T) {
	h := NewHead([]string{"a", "b", "c"}, 4, false, 1)
	const C = 3
	z := []float32{2, -1, 0.5, 0, 0, 0, -3, 4, 1, 12, -9, 3, 1, 2, 30}
	examples := []Example{{Class: 1}, {Class: 0, Rejected: true}, {Class: 1, Rejected: true},
		{Class: 2, Rejected: true}, {Class: 2, Rejected: true}}
	var got []float32
	gradient := slices.Clone(z)
	for i, e := range examples {
		got = append(got, lossOf(h, gradient[i*C:(i+1)*C], e))
	}
	for i, e := range examples {
		sum, rest := 0.0, 0.0 // of all, and of all but the class
		for c := range C {
			x := math.Exp(float64(z[i*C+c]))
			if sum += x; c != e.Class {
				rest += x
			}
		}
		want := math.Log(sum) - float64(z[i*C+e.Class])
		if e.Rejected {
			want = math.Log(sum) - math.Log(rest)
		}
		if math.Abs(float64(got[i])-want) > 1e-5*math.Max(1, want) {
			t.Errorf("row %d: got a loss of %g, want %g", i, got[i], want)
		}
		for c := range C {
			x := math.Exp(float64(z[i*C+c]))
			g := x / sum // ∂ log Σ
			switch {
			case !e.Rejected && c == e.Class:
				g--
			case e.Rejected && c != e.Class:
				g -= x / rest
			}
			if math.Abs(float64(gradient[i*C+c])-g) > 1e-5 {
				t.Errorf("row %d, label %d: got a gradient of %g, want %g", i, c, gradient[i*C+c], g)
			}
		}
	}
}

// TestWeights: an example's weight is its share of the step's loss.
func TestWeights(t *testing.T) {
	b := batch{examples: []Example{{}, {Weight: 0.5}, {Weight: 3}, {Weight: 1}}, owner: []int{0, 0, 1, 1}}
	for i, want := range []float32{0.5, 0.25, 1.5, 0.5} {
		if got := b.weights()[i]; got != want {
			t.Errorf("row %d: got %g, want %g", i, got, want)
		}
	}
}
