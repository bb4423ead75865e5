package population

import (
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// TestDirections: the range finder, wide enough for all of a small matrix, finds what the matrix' own product has.
func TestDirections(t *testing.T) {
	p := plant(4, 30, 12, 20, 3, 2, 2)
	used := make([]bool, 20)
	for k := range used {
		used[k] = true
	}
	j := newJoint(newSpace(&p.Population, used, true, 1), p.People, 2, 1)
	j.as(Setting{Rank: 0, Head: 1, Axis: 0})
	x := make([]float64, 2*4)
	j.objective(x, make([]float64, len(x)))
	square := make([]float64, 8*8) // GᵀG of G, a row a person
	for u, a := range j.people {
		row := make([]float64, 8)
		for i, text := range a.Text {
			for c := range 2 {
				numeric.Add(row[c*4:(c+1)*4], float64(j.residual[(j.first[u]+i)*2+c]), j.x[int(text)*4:(int(text)+1)*4])
			}
		}
		for k, v := range row {
			numeric.Add(square[k*8:(k+1)*8], v, row)
		}
	}
	values, want := eigen(square, 8)
	got := j.directions(2, 1)
	for r := range 2 {
		w := got[r*8 : (r+1)*8]
		size := math.Sqrt(numeric.Dot(w, w))
		if along := math.Abs(numeric.Dot(w, want[r*8:(r+1)*8])) / size; along < 1-1e-6 || math.Abs(size*size-values[r]) > 1e-6*values[0] {
			t.Errorf("direction %d: got a cosine of %g, length² %g, want 1 and %g", r, along, size*size, values[r])
		}
	}
}

// TestPrincipal: the population's z do not correlate on the model's axes, are widest on the first, and ranges are 2.5 of their deviations.
func TestPrincipal(t *testing.T) {
	p := plant(9, 60, 40, 80, 6, 2, 3)
	m, _ := train(t, &p.Population, &Options{Setting: &Setting{Rank: 3, Head: 0.3, Axis: 0.3}, Steps: 40})
	sum, square := make([]float64, 3), make([]float64, 9)
	for _, a := range p.People {
		e := &Examples{}
		for i, text := range a.Text {
			e.Rows = m.Project(e.Rows, p.Phi[int(text)*6:(int(text)+1)*6])
			e.Class = append(e.Class, int(a.Class[i]))
		}
		z, _, err := m.Real(e)
		if err != nil {
			t.Fatal(err)
		}
		numeric.Add(sum, 1./60, z)
		for k, v := range z {
			numeric.Add(square[k*3:(k+1)*3], v/60, z)
		}
	}
	for k := range 3 {
		sd := math.Sqrt(square[k*3+k] - sum[k]*sum[k])
		if math.Abs(float64(m.Range[k])-2.5*sd) > 0.01*sd || k > 0 && m.Range[k] > m.Range[k-1] {
			t.Errorf("axis %d: got a range of %g, a deviation of %g", k, m.Range[k], sd)
		}
		for l := range k {
			if v := square[k*3+l] - sum[k]*sum[l]; math.Abs(v) > 0.01*sd {
				t.Errorf("axes %d and %d: got a covariance of %g", k, l, v)
			}
		}
	}
}
