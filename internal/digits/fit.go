package digits

import (
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// fit is the convex problem of one set of examples and one λ:
//
//	F(z, b) = Σ_i w_i·loss_i + ½λ‖z‖² + ½λ_b‖b‖²,  logits_ic = offset_ic + b_c + z_c·p_i
//
// with z_c and b_c for the R labels of rows only. x is z in the coordinates of data.span, [R,dim],
// then b, [R]. Of two labels the minimum is z_0 = −z_1 and b_0 = −b_1, so one row stands for both:
// it is 2·z_1, and its strengths are λ/2 and λ_b/2.
type fit struct {
	*data
	train          []int     // which examples
	rows           []int     // the labels that have a row, ascending
	offset         []float64 // [train,C]: base + prior
	lambda, biased float64   // λ and λ_b
	beyond         float64   // see beyond
	logits         []float64 // [train,C]: scratch, see losses
}

func newFit(d *data, train []int, prior []float64, biasLambda float64) *fit {
	f := &fit{data: d, train: train, biased: biasLambda, beyond: d.share() * beyond,
		logits: make([]float64, len(train)*d.classes)}
	for _, i := range train {
		f.rows = append(f.rows, d.class[i])
		f.offset = append(f.offset, d.offsets(i, prior)...)
	}
	slices.Sort(f.rows)
	f.rows = slices.Compact(f.rows)
	if d.logistic || d.pair {
		f.rows = []int{1}
	}
	return f
}

// share is what part of each strength there is: half where one row is the difference of two.
func (d *data) share() float64 {
	if d.pair {
		return 0.5
	}
	return 1
}

// offsets are an example's logits without a code: base + prior.
func (d *data) offsets(i int, prior []float64) []float64 {
	out := slices.Clone(d.base[i*d.classes : (i+1)*d.classes])
	for c, v := range prior {
		out[c] += v
	}
	return out
}

// forward writes the logits of x.
func (f *fit) forward(x []float64) {
	dim, b := f.dim, x[len(f.rows)*f.dim:]
	copy(f.logits, f.offset)
	for k, i := range f.train {
		logits, u := f.logits[k*f.classes:(k+1)*f.classes], f.u[i*dim:(i+1)*dim]
		for r, c := range f.rows {
			logits[c] += b[r] + numeric.Dot(u, x[r*dim:(r+1)*dim])
		}
	}
}

// answer is log p of an example by x, [C].
func (f *fit) answer(x []float64, i int, prior []float64) []float64 {
	logits, b := f.offsets(i, prior), x[len(f.rows)*f.dim:]
	for r, c := range f.rows {
		logits[c] += b[r] + numeric.Dot(f.u[i*f.dim:(i+1)*f.dim], x[r*f.dim:(r+1)*f.dim])
	}
	return logSoftmax(logits)
}

// probabilities are those of x, [train,C], until logits is written again.
func (f *fit) probabilities(x []float64) []float64 {
	f.forward(x)
	for k := range f.train {
		numeric.Softmax(f.logits[k*f.classes : (k+1)*f.classes])
	}
	return f.logits
}

// convex is F and its gradient.
func (f *fit) convex(x, g []float64) float64 {
	R, dim := len(f.rows), f.dim
	y, b := x[:R*dim], x[R*dim:]
	f.forward(x)
	value := f.losses() + f.lambda/2*numeric.Dot(y, y) + f.biased/2*numeric.Dot(b, b)
	for i, v := range y {
		g[i] = f.lambda * v
	}
	for r := range b {
		g[R*dim+r] = f.biased * b[r]
	}
	f.back(g[:R*dim], g[R*dim:])
	return value
}

// back adds what losses left, ∂/∂logits, to the gradients of y and b; four examples at a time.
func (f *fit) back(gy, gb []float64) {
	u := func(k int) []float64 { return f.u[f.train[k]*f.dim : (f.train[k]+1)*f.dim] }
	for r, c := range f.rows {
		g, k := gy[r*f.dim:(r+1)*f.dim], 0
		for ; k+4 <= len(f.train); k += 4 {
			var s [4]float64
			for m := range s {
				s[m] = f.logits[(k+m)*f.classes+c]
				gb[r] += s[m]
			}
			numeric.Add4(g, s, u(k), u(k+1), u(k+2), u(k+3))
		}
		for ; k < len(f.train); k++ {
			s := f.logits[k*f.classes+c]
			gb[r] += s
			numeric.Add(g, s, u(k))
		}
	}
}

// losses is Σ_i w_i·loss_i of the logits, which it overwrites with its derivatives by them.
func (f *fit) losses() float64 {
	sum := 0.0
	for k, i := range f.train {
		logits := f.logits[k*f.classes : (k+1)*f.classes]
		loss := lossOf(logits, f.class[i], f.rejected[i])
		sum += f.weight[i] * loss
		for c := range logits {
			logits[c] *= f.weight[i]
		}
	}
	return sum
}

// lossOf is −log p_c, or −log(1 − p_c) of a rejection. It overwrites the logits with its
// derivatives by them: p − e_c, or p − q, where q is the softmax of the others.
func lossOf(logits []float64, c int, rejected bool) float64 {
	if !rejected {
		z := logits[c]
		lse := numeric.Softmax(logits)
		logits[c]--
		return lse - z
	}
	z := logits[c]
	logits[c] = math.Inf(-1)
	others := numeric.Softmax(logits) // q, which has 0 at c
	lse := others + math.Log1p(math.Exp(z-others))
	if z > others {
		lse = z + math.Log1p(math.Exp(others-z))
	}
	p := math.Exp(z - lse)
	for k := range logits {
		logits[k] *= -p // p_k − q_k = q_k·(1 − p_c) − q_k
	}
	logits[c] = p
	return lse - others
}

// solve minimizes F from x, until it is within gap of its minimum: F is λ-strongly convex, so ‖∇F‖²
// ≤ 2·λ·gap is enough. Where a rejection among more than two labels makes F not convex, it is a
// stationary point below the start.
func (f *fit) solve(ctx context.Context, x []float64, gap float64) (float64, error) {
	m := numeric.Minimizer{MaxSteps: 2000, Gradient: math.Sqrt(2 * min(f.lambda, f.biased) * gap)}
	return m.Run(ctx, x, f.convex)
}

// z is the rows of a solution in all axes, [R,A].
func (f *fit) z(x []float64) []float64 {
	if f.span == nil {
		return slices.Clone(x[:len(f.rows)*f.axes])
	}
	z := make([]float64, len(f.rows)*f.axes)
	for r := range f.rows {
		for k := range f.dim {
			numeric.Add(z[r*f.axes:(r+1)*f.axes], x[r*f.dim+k], f.span[k*f.axes:(k+1)*f.axes])
		}
	}
	return z
}
