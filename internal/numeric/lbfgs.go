package numeric

import (
	"context"
	"math"
)

// Objective is a smooth function: its value at x; its gradient is written to g.
type Objective func(x, g []float64) float64

// memory is how many past steps L-BFGS keeps: more gained nothing on the fits here.
const memory = 8

// Minimizer is L-BFGS with a line search that backs off by interpolation.
type Minimizer struct {
	MaxSteps int
	Gradient float64                  // it stops when the gradient's norm is at most this
	Progress func(value float64) bool // called after each step; false ends the run; nil: none
	s, y     [][]float64              // the last steps and changes of the gradient, oldest first
	sy       []float64                // their inner products
}

// Run changes x until the gradient is small, no step lowers the value any more, or the steps are
// used up. ctx ends it within one evaluation, with ctx's error.
func (m *Minimizer) Run(ctx context.Context, x []float64, f Objective) (float64, error) {
	m.s, m.y, m.sy = nil, nil, nil
	g, d := make([]float64, len(x)), make([]float64, len(x))
	next, gNext := make([]float64, len(x)), make([]float64, len(x))
	value := f(x, g)
	for range m.MaxSteps {
		if err := ctx.Err(); err != nil {
			return value, err
		}
		if math.Sqrt(Dot(g, g)) <= m.Gradient {
			break
		}
		m.direction(d, g)
		v, ok := m.search(value, x, g, d, next, gNext, f)
		if !ok && len(m.s) > 0 { // the curvature that was kept misled it
			m.s, m.y, m.sy = nil, nil, nil
			continue
		}
		if !ok {
			break
		}
		m.keep(x, g, next, gNext)
		copy(x, next)
		copy(g, gNext)
		value = v
		if m.Progress != nil && !m.Progress(value) {
			break
		}
	}
	return value, ctx.Err()
}

// direction writes −H·g to d, H the inverse Hessian that the kept steps imply.
func (m *Minimizer) direction(d, g []float64) {
	for i, v := range g {
		d[i] = -v
	}
	last := len(m.s) - 1
	if last < 0 { // a first step of length 1 at most
		scale := 1 / max(1, math.Sqrt(Dot(g, g)))
		for i := range d {
			d[i] *= scale
		}
		return
	}
	var alpha [memory]float64
	for k := last; k >= 0; k-- {
		alpha[k] = Dot(m.s[k], d) / m.sy[k]
		Add(d, -alpha[k], m.y[k])
	}
	scale := m.sy[last] / Dot(m.y[last], m.y[last])
	for i := range d {
		d[i] *= scale
	}
	for k := range m.s {
		Add(d, alpha[k]-Dot(m.y[k], d)/m.sy[k], m.s[k])
	}
}

// search finds a step along d that lowers the value enough (Armijo). Near the minimum, where the
// value's own rounding hides what a step gains, a smaller gradient is enough.
func (m *Minimizer) search(value float64, x, g, d, next, gNext []float64, f Objective) (float64, bool) {
	slope := Dot(g, d)
	if !(slope < 0) {
		return value, false
	}
	noise := 1e-14 * (1 + math.Abs(value))
	for t, tries := 1.0, 0; tries < 40; tries++ {
		copy(next, x)
		Add(next, t, d)
		v := f(next, gNext)
		if v <= value+1e-4*t*slope || v <= value+noise && Dot(gNext, gNext) < Dot(g, g) {
			return v, true
		}
		shrunk := -slope * t * t / (2 * (v - value - t*slope)) // where a parabola through both values is lowest
		if !(shrunk > 0.1*t) {
			shrunk = 0.1 * t
		}
		t = min(shrunk, 0.5*t)
	}
	return value, false
}

// keep stores a step and the change of the gradient over it, unless the curvature along it is not
// positive.
func (m *Minimizer) keep(x, g, next, gNext []float64) {
	var s, y []float64
	if len(m.s) == memory {
		s, y = m.s[0], m.y[0]
		m.s, m.y, m.sy = append(m.s[:0], m.s[1:]...), append(m.y[:0], m.y[1:]...), append(m.sy[:0], m.sy[1:]...)
	} else {
		s, y = make([]float64, len(x)), make([]float64, len(x))
	}
	for i := range x {
		s[i], y[i] = next[i]-x[i], gNext[i]-g[i]
	}
	if sy := Dot(s, y); sy > 1e-12*Dot(y, y) {
		m.s, m.y, m.sy = append(m.s, s), append(m.y, y), append(m.sy, sy)
	}
}
