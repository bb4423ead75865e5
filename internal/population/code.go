package population

import (
	"context"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Examples are a new person's labelled texts, as rows of Model.Project.
type Examples struct {
	Rows   []float64 // [n,(1+J)·C]
	Class  []int
	Weight []float64 // of each, above 0; nil: 1
}

// Code is what is kept of a person. Level is their place on each axis, of 0 to 2^Digits[j] − 1; its
// bits are the signs of the axis' digits, the first the most significant. Bias is a byte a label,
// see BiasOf.
type Code struct {
	Level []byte // [J]
	Bias  []byte // [C]
}

// BiasOf is what a byte of bias stands for: −8 to 8.
func BiasOf(b byte) float64 { return (float64(b) - 128) / 16 }

func biasByte(v float64) byte { return byte(min(max(math.Round(16*v)+128, 0), 255)) }

// Z is a code's place on axis j: Range · Σ_m ±2^-m.
func (m *Model) Z(j int, level byte) float64 {
	return float64(m.Range[j]) * ((2*float64(level)+1)/math.Exp2(float64(m.Digits[j])) - 1)
}

// Nearest is the level nearest to z on axis j.
func (m *Model) Nearest(j int, z float64) byte {
	count := math.Exp2(float64(m.Digits[j]))
	at := math.Floor((z/float64(m.Range[j]) + 1) / 2 * count)
	return byte(min(max(at, 0), count-1))
}

// Logits appends the logits of a text to dst; a nil code is nobody's.
func (m *Model) Logits(dst, row []float64, c *Code) []float64 {
	at := len(dst)
	dst = append(dst, row[:m.C]...)
	if c == nil {
		return dst
	}
	for k, b := range c.Bias {
		dst[at+k] += BiasOf(b)
	}
	for j, level := range c.Level {
		numeric.Add(dst[at:], m.Z(j, level), row[(1+j)*m.C:(2+j)*m.C])
	}
	return dst
}

func (m *Model) check(e *Examples) (Answers, error) {
	a := Answers{make([]int32, len(e.Class)), make([]int32, len(e.Class))}
	if len(e.Rows) != len(e.Class)*m.Width() {
		return a, fmt.Errorf("%w: %d values of %d examples, want %d of each", ErrConfig, len(e.Rows), len(e.Class),
			m.Width())
	}
	for i, c := range e.Class {
		if c < 0 || c >= m.C {
			return a, fmt.Errorf("%w: label %d of %d", ErrConfig, c, m.C)
		}
		a.Text[i], a.Class[i] = int32(i), int32(c)
	}
	if e.Weight != nil && len(e.Weight) != len(e.Class) {
		return a, fmt.Errorf("%w: %d weights of %d examples", ErrConfig, len(e.Weight), len(e.Class))
	}
	for i, w := range e.Weight {
		if !(w > 0 && w <= 1e9) {
			return a, fmt.Errorf("%w: example %d has the weight %g", ErrConfig, i, w)
		}
	}
	for _, v := range e.Rows {
		if !(math.Abs(v) <= 1e9) {
			return a, fmt.Errorf("%w: a value of %g", ErrConfig, v)
		}
	}
	return a, nil
}

// Real is z and b before they are rounded: [J] and [C].
func (m *Model) Real(e *Examples) (z, b []float64, err error) {
	a, err := m.check(e)
	if err != nil {
		return nil, nil, err
	}
	x := make([]float64, m.J+m.C)
	s := newSolver(m.J, m.C, m.beta())
	s.weight = e.Weight
	s.solve(e.Rows, a, x, nil)
	return x[:m.J], x[m.J:], nil
}

// Fit finds a person's code: z and b by Newton's method, z rounded to the nearest levels, single
// levels moved where that lowers the objective, b fitted again.
func (m *Model) Fit(ctx context.Context, e *Examples) (*Code, error) {
	z, b, err := m.Real(e)
	if err != nil {
		return nil, err
	}
	f := m.newRounding(e, b)
	c := &Code{Level: make([]byte, m.J), Bias: make([]byte, m.C)}
	for j := range c.Level {
		c.Level[j] = m.Nearest(j, z[j])
	}
	if err := f.refine(ctx, c.Level); err != nil {
		return nil, err
	}
	f.value(c.Level)
	for k, v := range f.bias {
		c.Bias[k] = biasByte(v)
	}
	return c, nil
}

// rounding is the objective of levels, with the best bias for each.
type rounding struct {
	*Model
	examples *Examples
	answers  Answers
	solver   *solver
	rows     []float64 // [n,C]: head and axes
	bias     []float64 // the last best
}

func (m *Model) newRounding(e *Examples, bias []float64) *rounding {
	a, _ := m.check(e)
	s := newSolver(0, m.C, m.beta())
	s.weight = e.Weight
	return &rounding{Model: m, examples: e, answers: a, solver: s, rows: make([]float64, len(e.Class)*m.C), bias: bias}
}

// value is the objective at levels.
func (f *rounding) value(level []byte) float64 {
	square := 0.0
	for i := range f.examples.Class {
		row, out := f.examples.Rows[i*f.Width():(i+1)*f.Width()], f.rows[i*f.C:(i+1)*f.C]
		copy(out, row)
		for j, l := range level {
			numeric.Add(out, f.Z(j, l), row[(1+j)*f.C:(2+j)*f.C])
		}
	}
	for j, l := range level {
		square += f.Z(j, l) * f.Z(j, l)
	}
	return square/2 + f.solver.solve(f.rows, f.answers, f.bias, nil)
}

// refine moves each level by steps of one while that lowers the objective, until none moves.
func (f *rounding) refine(ctx context.Context, level []byte) error {
	least := f.value(level)
	for moved := true; moved; {
		moved = false
		for j := range level {
			for _, step := range []int{-1, 1} {
				for {
					if err := ctx.Err(); err != nil {
						return err
					}
					old := level[j]
					next := int(old) + step
					if next < 0 || next >= 1<<f.Digits[j] {
						break
					}
					level[j] = byte(next)
					v := f.value(level)
					if v >= least-1e-12 {
						level[j] = old
						break
					}
					least, moved = v, true
				}
			}
		}
	}
	return nil
}
