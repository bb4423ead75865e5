// Package enginetest is a float64 reference for tests of engines. It knows no formula of a
// gradient: it records every operation of the forward pass and goes back by the chain rule.
package enginetest

import "math"

// Num is a number on a tape: its value, and after Back the gradient of the loss by it.
type Num struct {
	X, G float64
	from []edge
}

// edge is what a number depends on, and its derivative by that.
type edge struct {
	of *Num
	by float64
}

// Tape records numbers in the order in which they are computed.
type Tape struct{ nums []*Num }

// New is a number that depends on nothing.
func (t *Tape) New(x float64) *Num { return t.record(x) }

// News are numbers that depend on nothing.
func (t *Tape) News(xs []float64) []*Num {
	out := make([]*Num, len(xs))
	for i, x := range xs {
		out[i] = t.New(x)
	}
	return out
}

// Wide are the same values in float64; nil stays nil.
func Wide(xs []float32) (out []float64) {
	for _, x := range xs {
		out = append(out, float64(x))
	}
	return out
}

// Grads are the gradients of some numbers.
func Grads(xs []*Num) (out []float64) {
	for _, x := range xs {
		out = append(out, x.G)
	}
	return out
}

func (t *Tape) record(x float64, from ...edge) *Num {
	n := &Num{X: x, from: from}
	t.nums = append(t.nums, n)
	return n
}

// Back gives every number its gradient of loss.
func (t *Tape) Back(loss *Num) {
	loss.G = 1
	for i := len(t.nums) - 1; i >= 0; i-- {
		for _, e := range t.nums[i].from {
			e.of.G += t.nums[i].G * e.by
		}
	}
}

func (t *Tape) Add(a, b *Num) *Num { return t.record(a.X+b.X, edge{a, 1}, edge{b, 1}) }
func (t *Tape) Sub(a, b *Num) *Num { return t.record(a.X-b.X, edge{a, 1}, edge{b, -1}) }
func (t *Tape) Mul(a, b *Num) *Num { return t.record(a.X*b.X, edge{a, b.X}, edge{b, a.X}) }
func (t *Tape) Exp(a *Num) *Num    { x := math.Exp(a.X); return t.record(x, edge{a, x}) }
func (t *Tape) Log(a *Num) *Num    { return t.record(math.Log(a.X), edge{a, 1 / a.X}) }
func (t *Tape) Tanh(a *Num) *Num   { x := math.Tanh(a.X); return t.record(x, edge{a, 1 - x*x}) }

// BySqrt is 1/√(a + eps).
func (t *Tape) BySqrt(a *Num, eps float64) *Num {
	x := 1 / math.Sqrt(a.X+eps)
	return t.record(x, edge{a, -x * x * x / 2})
}

// Sum of some numbers, times a constant.
func (t *Tape) Sum(by float64, xs ...*Num) *Num {
	n := &Num{from: make([]edge, len(xs))}
	for i, x := range xs {
		n.X += by * x.X
		n.from[i] = edge{x, by}
	}
	t.nums = append(t.nums, n)
	return n
}

// Dot is Σ a_i·b_i.
func (t *Tape) Dot(a, b []*Num) *Num {
	n := &Num{from: make([]edge, 0, 2*len(a))}
	for i := range a {
		n.X += a[i].X * b[i].X
		n.from = append(n.from, edge{a[i], b[i].X}, edge{b[i], a[i].X})
	}
	t.nums = append(t.nums, n)
	return n
}
