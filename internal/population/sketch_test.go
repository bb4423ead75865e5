package population

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// wide is a population of many texts, each of one person, with φ longer than twice kept, most of
// whose variance is in 40 directions.
func wide(texts int) *Population {
	const d, strong = 2*kept + 8, 40
	rng := rand.New(rand.NewPCG(1, 2))
	p := &Population{C: 3, D: d}
	mix := make([]float64, strong*d)
	for i := range mix {
		mix[i] = rng.NormFloat64() / math.Sqrt(d)
	}
	for range texts {
		row := make([]float64, d)
		for k := range strong {
			numeric.Add(row, rng.NormFloat64(), mix[k*d:(k+1)*d])
		}
		for _, v := range row {
			p.Phi = append(p.Phi, float32(v+0.02*rng.NormFloat64()+0.1))
		}
	}
	for from := 0; from < texts; from += 50 {
		var a Answers
		for t := from; t < min(texts, from+50); t++ {
			a.Text, a.Class = append(a.Text, int32(t)), append(a.Class, int32(rng.IntN(3)))
		}
		p.People = append(p.People, a)
	}
	return p
}

func everyText(p *Population) []bool {
	used := make([]bool, len(p.Phi)/p.D)
	for t := range used {
		used[t] = true
	}
	return used
}

// TestSketch: the basis is orthonormal, and holds nearly all of what the texts vary by that so many
// directions can hold.
func TestSketch(t *testing.T) {
	p := wide(900)
	s := newSpace(p, everyText(p), false, 2)
	if s.dim != kept || s.narrow == nil {
		t.Fatalf("got %d directions, float32: %v", s.dim, s.narrow != nil)
	}
	for k := range 20 {
		for l := range k + 1 {
			want := 0.0
			if k == l {
				want = 1
			}
			if v := numeric.Dot(s.basis[k*p.D:(k+1)*p.D], s.basis[l*p.D:(l+1)*p.D]); math.Abs(v-want) > 1e-12 {
				t.Errorf("directions %d and %d: got %g, want %g", k, l, v, want)
			}
		}
	}
	if whole := newSpace(p, everyText(p), true, 2); whole.dim != p.D || whole.basis != nil || whole.rough || !s.rough {
		t.Errorf("exactly: got %d directions", whole.dim)
	}
	square := 0.0
	for text := range s.texts {
		for _, v := range s.narrow[text*(s.dim+1) : (text+1)*(s.dim+1)-1] {
			square += float64(v) * float64(v) / float64(s.texts)
		}
	}
	t.Logf("a share of %.4f of the variance is left", square)
	if square < 0.998 || square > 1 {
		t.Errorf("got a share of %g of the variance", square)
	}
}

// TestNarrow: with float32 products the objective and its gradient are the same but for their
// rounding, and the same bits for any number of threads.
func TestNarrow(t *testing.T) {
	p := wide(900)
	j := newJoint(newSpace(p, everyText(p), false, 2), p.People, p.C, 2)
	j.as(Setting{Rank: 1, Head: 1, Axis: 1})
	rng := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, 2*p.C*(j.dim+1))
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	narrow, exact, other := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	value := j.objective(x, narrow)
	k := newJoint(newSpace(p, everyText(p), false, 5), p.People, p.C, 5)
	k.as(Setting{Rank: 1, Head: 1, Axis: 1})
	if v := k.objective(x, other); v != value || !reflect.DeepEqual(other, narrow) ||
		!reflect.DeepEqual(j.basis, k.basis) {
		t.Errorf("five threads: got %g, want %g, or another gradient or basis", v, value)
	}
	j.x, j.narrow = numeric.Widen(j.narrow), nil
	clear(j.codes)
	want := j.objective(x, exact)
	numeric.Add(narrow, -1, exact)
	off := math.Sqrt(numeric.Dot(narrow, narrow) / numeric.Dot(exact, exact))
	t.Logf("value %.1e off, gradient %.1e", math.Abs(value/want-1), off)
	if math.Abs(value/want-1) > 1e-7 || off > 1e-6 {
		t.Errorf("got a value of %g, want %g, and a gradient %g off", value, want, off)
	}
}

// TestExactly: what is chosen in a sketch is fitted in all of φ: the model is that which the
// setting gives without a choice, on any number of threads.
func TestExactly(t *testing.T) {
	p := wide(400)
	m, r := train(t, p, &Options{Ranks: []int{1}, HeadStrengths: []float64{1}, AxisStrengths: []float64{3}, Steps: 20,
		Threads: 1})
	want, _ := train(t, p, &Options{Setting: &r.Setting, Steps: 20, Threads: 3})
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got another model of rank %d", m.J)
	}
}
