package digits

import (
	"context"
	"math"
	"runtime"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Head is the examples of a shared head over φ: the convex problem
//
//	Σ_i w_i·(−log softmax(W φ_i + a)_c) + ½λ‖W − W0‖² + ½‖a‖²
type Head struct {
	X      []float32 // [n,D]: φ of each example
	Class  []int     // [n]
	Weight []float32 // [n] or nil; 0: 1
	W0     []float32 // [C,D] or nil: where the weights start, and what they are shrunk toward; nil: zeros
	C, D   int
}

// HeadOptions are how a shared head is fitted. nil, or a zero field, means the default.
type HeadOptions struct {
	Lambda  float64 // 0: the best of six from 0.3 to 100, by a hold-out of a fifth of the examples
	Threads int     // 0: as many as Go has. The result does not depend on it

	// Progress is called after each step of each of the fits, the last of which is that of all
	// examples; nil: not at all. loss is the objective's value at the last point that was tried.
	Progress func(fit, fits, step int, loss float64)
}

// HeadResult is a fitted head.
type HeadResult struct {
	W      []float32 // [C,D]
	Bias   []float32 // [C]
	Lambda float64
	// mean loss on the hold-out at each strength, weakest last; nil with a given Lambda. NaN: not
	// tried, as two before were worse
	Held  []float64
	Steps int // of the last fit
}

func (o *HeadOptions) orDefaults() HeadOptions {
	out := HeadOptions{}
	if o != nil {
		out = *o
	}
	if out.Threads <= 0 {
		out.Threads = runtime.GOMAXPROCS(0)
	}
	return out
}

// headLambdas are the strengths tried, headSteps the most steps of one fit.
var headLambdas = []float64{100, 30, 10, 3, 1, 0.3}

const headSteps = 200

// FitHead fits a shared head by L-BFGS. One evaluation costs 4·n·C·D multiplications, shared by the
// threads; memory: 16 gradients and the steps of L-BFGS, some 35·C·D numbers. ctx ends it within
// one evaluation, with ctx's error.
func FitHead(ctx context.Context, h *Head, o *HeadOptions) (*HeadResult, error) {
	opt := o.orDefaults()
	if err := checkHead(h, opt); err != nil {
		return nil, err
	}
	f := &headFit{Head: h, options: opt}
	res := &HeadResult{Lambda: opt.Lambda}
	all := make([]int, len(h.Class))
	for i := range all {
		all[i] = i
	}
	f.fits = 1
	if opt.Lambda == 0 {
		f.fits += len(headLambdas)
		if err := f.choose(ctx, res); err != nil {
			return nil, err
		}
		f.fit = len(headLambdas)
	}
	x := make([]float64, h.C*(h.D+1))
	steps, err := f.solve(ctx, x, all, res.Lambda)
	if err != nil {
		return nil, err
	}
	res.W, res.Bias, res.Steps = numeric.Narrow(x[:h.C*h.D]), numeric.Narrow(x[h.C*h.D:]), steps
	for k, v := range h.W0 {
		res.W[k] = float32(x[k] + float64(v))
	}
	return res, nil
}

// headFit is one call of FitHead. x is W − W0, [C,D], then a, [C].
type headFit struct {
	*Head
	options   HeadOptions
	fit, fits int
}

// choose sets res.Lambda to the strength of the least loss on the held-out fifth; each fit begins
// where the one before ended, and two in a row that are worse than the best end it.
func (f *headFit) choose(ctx context.Context, res *HeadResult) error {
	var train, held []int
	for i := range f.Class {
		if f.heldOut(i) {
			held = append(held, i)
		} else {
			train = append(train, i)
		}
	}
	if len(held) == 0 || len(train) == 0 {
		res.Lambda = headLambdas[len(headLambdas)/2]
		return nil
	}
	x, best, worse := make([]float64, f.C*(f.D+1)), math.Inf(1), 0
	for k, lambda := range headLambdas {
		if worse == 2 {
			res.Held = append(res.Held, math.NaN())
			continue
		}
		f.fit = k
		if _, err := f.solve(ctx, x, train, lambda); err != nil {
			return err
		}
		loss := f.loss(x, nil, held) / f.total(held)
		res.Held = append(res.Held, loss)
		if worse++; loss < best {
			best, worse, res.Lambda = loss, 0, lambda
		}
	}
	return nil
}

// heldOut is decided by a hash of the example, so that equal ones are on one side.
func (f *headFit) heldOut(i int) bool {
	h := uint64(0)
	for _, v := range f.X[i*f.D : (i+1)*f.D] {
		h = mix(h ^ uint64(math.Float32bits(v)))
	}
	return h%5 == 0
}

func (f *headFit) weight(i int) float64 { return weightOf(f.Weight, i) }

func (f *headFit) total(examples []int) float64 {
	sum := 0.0
	for _, i := range examples {
		sum += f.weight(i)
	}
	return sum
}

// solve fits from x on, until the gradient is a ten-thousandth of the examples' weight or the steps
// are used up.
func (f *headFit) solve(ctx context.Context, x []float64, examples []int, lambda float64) (steps int, err error) {
	m := numeric.Minimizer{MaxSteps: headSteps, Gradient: 1e-4 * max(1, math.Sqrt(f.total(examples)))}
	value := 0.0
	m.Progress = func(float64) bool {
		steps++
		if f.options.Progress != nil {
			f.options.Progress(f.fit, f.fits, steps, value)
		}
		return true
	}
	W := f.C * f.D
	_, err = m.Run(ctx, x, func(x, g []float64) float64 {
		value = f.loss(x, g, examples) + lambda/2*numeric.Dot(x[:W], x[:W]) + 0.5*numeric.Dot(x[W:], x[W:])
		numeric.Add(g[:W], lambda, x[:W])
		numeric.Add(g[W:], 1, x[W:])
		return value
	})
	return steps, err
}

// shares is how many parts the examples of one evaluation are dealt into, whatever the threads, so
// that the order of sums is always the same.
const shares = 16

// loss is the weighted sum of the examples' losses; its gradient is written to g unless that is
// nil.
func (f *headFit) loss(x, g []float64, examples []int) float64 {
	w := slices.Clone(x[:f.C*f.D])
	for k, v := range f.W0 {
		w[k] += float64(v)
	}
	sums, parts := make([]float64, shares), make([][]float64, shares)
	numeric.Parallel(f.options.Threads, shares, 1, func(_, s, _ int) {
		from, to := s*len(examples)/shares, (s+1)*len(examples)/shares
		if g != nil && from < to {
			parts[s] = make([]float64, len(g))
		}
		sums[s] = f.share(w, x[f.C*f.D:], parts[s], examples[from:to])
	})
	clear(g)
	sum := 0.0
	for s := range shares {
		sum += sums[s]
		if parts[s] != nil {
			numeric.Add(g, 1, parts[s])
		}
	}
	return sum
}

// share is loss for one part of the examples, four rows at a time.
func (f *headFit) share(w, bias, g []float64, examples []int) float64 {
	rows, logits, sum := make([]float64, 4*f.D), make([]float64, 4*f.C), 0.0
	row := func(k int) []float64 { return rows[k*f.D : (k+1)*f.D] }
	for at := 0; at < len(examples); at += 4 {
		block := examples[at:min(at+4, len(examples))]
		clear(logits)
		clear(rows)
		for k, i := range block {
			x, z := row(k), logits[k*f.C:(k+1)*f.C]
			for j, v := range f.X[i*f.D : (i+1)*f.D] {
				x[j] = float64(v)
			}
			for c := range z {
				z[c] = bias[c] + numeric.Dot(x, w[c*f.D:(c+1)*f.D])
			}
			sum += f.weight(i) * lossOf(z, f.Class[i], false)
			for c := range z {
				z[c] *= f.weight(i)
			}
		}
		if g == nil {
			continue
		}
		for c := range f.C {
			s := [4]float64{logits[c], logits[f.C+c], logits[2*f.C+c], logits[3*f.C+c]}
			numeric.Add4(g[c*f.D:(c+1)*f.D], s, row(0), row(1), row(2), row(3))
			g[f.C*f.D+c] += (s[0] + s[1]) + (s[2] + s[3])
		}
	}
	return sum
}
