package population

import (
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// TestDirections: the range finder, wide enough for all of a small matrix, finds what the matrix'
// own product has.
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
		if along := math.Abs(numeric.Dot(w, want[r*8:(r+1)*8])) / size; along < 1-1e-6 ||
			math.Abs(size*size-values[r]) > 1e-6*values[0] {
			t.Errorf("direction %d: got a cosine of %g, length² %g, want 1 and %g", r, along, size*size, values[r])
		}
	}
}

// TestPrincipal: the turned axes make the same people, whose z have a deviation of 1 on each and do
// not correlate; own parts turn with them.
func TestPrincipal(t *testing.T) {
	p := plant(9, 60, 40, 80, 6, 2, 3)
	j := newJoint(newSpace(&p.Population, everyText(&p.Population), true, 1), p.People, 2, 1)
	j.as(Setting{Rank: 3, Head: 0.3, Axis: 0.3, Text: 1})
	x := make([]float64, 4*2*7+j.ownSize())
	for i := range x {
		x[i] = p.rng.NormFloat64()
	}
	turned := j.principal(x)
	z, adds := make([]float64, 3), make([][]float64, 60) // what a person's z add to the logits of the first texts
	for u := range adds {
		adds[u] = make([]float64, 10)
		copy(z, j.codes[u*5:u*5+3])
		for i := range adds[u] {
			for k, v := range z {
				adds[u][i] += v * j.rows[i/2*8+2+2*k+i%2]
			}
		}
	}
	j.fill(turned)
	for a := range 10 {
		for b := range a + 1 {
			mean, got, want := [2]float64{}, 0.0, 0.0
			for _, at := range adds {
				mean[0], mean[1] = mean[0]+at[a]/60, mean[1]+at[b]/60
			}
			for _, at := range adds {
				got += (at[a] - mean[0]) * (at[b] - mean[1]) / 60
			}
			for k := range 3 {
				want += j.rows[a/2*8+2+2*k+a%2] * j.rows[b/2*8+2+2*k+b%2]
			}
			if math.Abs(got-want) > 1e-9*(1+math.Abs(got)) {
				t.Errorf("values %d and %d: people have a covariance of %g, the axes say %g", a, b, got, want)
			}
		}
	}
}
