package digits

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/numeric"
)

// randomHead is a person's examples as a shared head's.
func randomHead(seed uint64, n, D, C int) *Head {
	p := randomPerson(seed, n, D, C)
	h := &Head{X: p.P, Class: p.Class, C: C, D: D, W0: make([]float32, C*D)}
	r := rand.New(rand.NewPCG(seed, 6))
	for k := range h.W0 {
		h.W0[k] = float32(r.NormFloat64())
	}
	for i := range n {
		h.Weight = append(h.Weight, float32(i%3))
	}
	return h
}

func TestHeadGradient(t *testing.T) {
	f := &headFit{Head: randomHead(1, 150, 5, 3), options: (&HeadOptions{Threads: 3}).orDefaults()}
	x := make([]float64, f.C*(f.D+1))
	r := rand.New(rand.NewPCG(1, 1))
	for k := range x {
		x[k] = r.NormFloat64()
	}
	all := make([]int, 150)
	for i := range all {
		all[i] = i
	}
	checkGradient(t, func(x, g []float64) float64 { return f.loss(x, g, all) }, x)
	if got, want := f.loss(x, nil, all), f.loss(x, make([]float64, len(x)), all); got != want {
		t.Errorf("without a gradient got %g, want %g", got, want)
	}
}

// TestHeadIsTheConvexFit: with the logits of W0 as a person's base, z is W − W0. The two share the
// loss and the minimizer, nothing else.
func TestHeadIsTheConvexFit(t *testing.T) {
	h := randomHead(2, 80, 12, 3)
	res, err := FitHead(context.Background(), h, &HeadOptions{Lambda: 2})
	if err != nil {
		t.Fatal(err)
	}
	p := &Person{A: h.D, C: h.C, Digits: 1, P: h.X, Class: h.Class, Weight: h.Weight}
	for i := range h.Class {
		for c := range h.C {
			p.Base = append(p.Base, float32(numeric.Dot(numeric.Widen(h.X[i*h.D:(i+1)*h.D]),
				numeric.Widen(h.W0[c*h.D:(c+1)*h.D]))))
		}
	}
	d := newData(p)
	f := newFit(d, d.everyone(), nil, 1)
	f.lambda = 2
	x := make([]float64, len(f.rows)*(f.dim+1))
	if _, err := f.solve(context.Background(), x, final); err != nil {
		t.Fatal(err)
	}
	got := numeric.Widen(res.W)
	numeric.Add(got, -1, numeric.Widen(h.W0))
	golden.Near(t, "W − W0", got, x[:len(got)], 1e-3, 0)
	golden.Near(t, "bias", numeric.Widen(res.Bias), x[len(got):], 1e-3, 0)
}

// TestHeadOfManyThreads: the same bits on any number of threads.
func TestHeadOfManyThreads(t *testing.T) {
	h := randomHead(3, 301, 24, 4)
	x, g := make([]float64, h.C*(h.D+1)), make([]float64, h.C*(h.D+1))
	all := make([]int, 301)
	for i := range all {
		all[i] = i
	}
	var want []float64
	for _, threads := range []int{1, 2, 7} {
		f := &headFit{Head: h, options: HeadOptions{Threads: threads}}
		got := append(slices.Clone(g), f.loss(x, g, all))
		copy(got, g)
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d threads: got another loss or gradient than on one", threads)
		}
	}
}

// TestHeadChoosesItsStrength: labels by chance want the strongest, clear ones a weak one; the loss
// falls.
func TestHeadChoosesItsStrength(t *testing.T) {
	h := randomHead(4, 400, 16, 3)
	h.W0 = nil
	first, last := math.NaN(), 0.0
	clear, err := FitHead(context.Background(), h, &HeadOptions{Progress: func(fit, fits, step int, loss float64) {
		if fit == fits-1 && step == 1 {
			first = loss
		}
		last = loss
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !(last < first) {
		t.Errorf("the loss went from %g to %g, want it to fall", first, last)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range h.Class {
		h.Class[i] = r.IntN(3)
	}
	chance, err := FitHead(context.Background(), h, nil)
	if err != nil {
		t.Fatal(err)
	}
	if clear.Lambda > 3 || chance.Lambda < 30 {
		t.Errorf("got λ %g and, of labels by chance, %g, want a small and a large one", clear.Lambda, chance.Lambda)
	}
	t.Logf("held out, of clear labels: %.3f, of labels by chance: %.3f", clear.Held, chance.Held)
}

func TestHeadErrors(t *testing.T) {
	for name, spoil := range map[string]func(h *Head, o *HeadOptions){
		"no examples": func(h *Head, o *HeadOptions) { h.X, h.Class, h.Weight = nil, nil, nil },
		"one label":   func(h *Head, o *HeadOptions) { h.C, h.W0 = 1, nil },
		"values":      func(h *Head, o *HeadOptions) { h.X = h.X[1:] },
		"class":       func(h *Head, o *HeadOptions) { h.Class[0] = 3 },
		"weights":     func(h *Head, o *HeadOptions) { h.Weight = h.Weight[1:] },
		"start":       func(h *Head, o *HeadOptions) { h.W0 = h.W0[1:] },
		"NaN":         func(h *Head, o *HeadOptions) { h.X[0] = float32(math.NaN()) },
		"strength":    func(h *Head, o *HeadOptions) { o.Lambda = -1 },
	} {
		h, o := randomHead(1, 12, 4, 3), &HeadOptions{}
		spoil(h, o)
		if res, err := FitHead(context.Background(), h, o); !errors.Is(err, ErrConfig) || res != nil {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

func TestHeadEndsWithItsContext(t *testing.T) {
	for _, step := range []int{1, 5} {
		ctx, cancel := context.WithCancel(context.Background())
		steps := 0
		_, err := FitHead(ctx, randomHead(1, 200, 16, 3), &HeadOptions{Progress: func(_, _, _ int, _ float64) {
			if steps++; steps == step {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || steps != step {
			t.Errorf("ended at step %d: got %v after %d steps", step, err, steps)
		}
		cancel()
	}
}
