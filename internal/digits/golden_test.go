package digits

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/numeric"
)

// goldenCase is one problem and its solution by testdata/reference.py.
type goldenCase struct {
	A, C, Digits         int
	Lambdas, Shares      []float64 // two strengths, and what each has of the mean; the prior alone has the rest
	BiasLambda           float64
	P, Base, Prior       []float32
	Class, Labels        []int
	Rejected             []bool
	Weight               []float32
	Probe, ProbeGradient []float64 // x = (z, b), and the gradient there
	ProbeValue, Value    float64   // the objective there, and at its minimum, of the first strength
	Z, B                 []float64 // the minimum
	Mean                 []float64 // z and b of the mean of both minima and zero
	Moved                int       // levels that are not those nearest to z
	FirstScales, Rows    []int     // bytes: of least squares, and the digits
	ExactScales          []float64 // refitted
	Scales               []int     // their bytes
	Bias, LogProb        []float64 // of the code
}

func readGolden(t *testing.T) []goldenCase {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []goldenCase
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// fit is the goldenCase problem of all its examples, in the order of the file. reduced says whether
// it is solved in the examples' span.
func (g goldenCase) fit(reduced bool) *fit {
	p := &Person{A: g.A, C: g.C, Digits: g.Digits, P: g.P, Base: g.Base, Class: g.Class, Weight: g.Weight,
		Rejected: g.Rejected, Logistic: g.C == 2}
	d := newData(p)
	if !reduced {
		d.u, d.dim, d.span = d.p, d.axes, nil
	}
	f := newFit(d, d.everyone(), numeric.Widen(g.Prior), g.BiasLambda)
	f.lambda = g.Lambdas[0]
	return f
}

// mean is the problem in the examples' span, and the mean of its solutions.
func (g goldenCase) mean(t *testing.T) (*fit, []float64) {
	f, s := g.fit(true), &solutions{}
	x := make([]float64, len(f.rows)*(f.dim+1))
	for _, f.lambda = range g.Lambdas {
		if _, err := f.solve(context.Background(), x, final); err != nil {
			t.Fatal(err)
		}
		s.x = append(s.x, slices.Clone(x))
	}
	return f, s.mean(g.Shares)
}

func TestGoldenObjective(t *testing.T) {
	for k, g := range readGolden(t) {
		f := g.fit(false)
		grad := make([]float64, len(g.Probe))
		value := f.convex(g.Probe, grad)
		golden.Near(t, fmt.Sprintf("case %d, objective", k), []float64{value}, []float64{g.ProbeValue}, 1e-9, 0)
		golden.Near(t, fmt.Sprintf("case %d, gradient", k), grad, g.ProbeGradient, 1e-9, 0)
	}
}

func TestGoldenFit(t *testing.T) {
	for k, g := range readGolden(t) {
		for _, reduced := range []bool{false, true} {
			f := g.fit(reduced)
			x := make([]float64, len(f.rows)*(f.dim+1))
			value, err := f.solve(context.Background(), x, final)
			if err != nil {
				t.Fatal(err)
			}
			golden.Near(t, fmt.Sprintf("case %d, minimum", k), []float64{value}, []float64{g.Value}, 1e-9, 0)
			golden.Near(t, fmt.Sprintf("case %d, z", k), f.z(x), g.Z, 1e-6, 0)
			golden.Near(t, fmt.Sprintf("case %d, b", k), x[len(f.rows)*f.dim:], g.B, 1e-6, 0)
		}
	}
}

// TestGoldenCode: a value within 1e-6 of a boundary may fall either way, but the file has none.
func TestGoldenCode(t *testing.T) {
	moved := 0
	for k, g := range readGolden(t) {
		moved += g.Moved
		f, x := g.mean(t)
		golden.Near(t, fmt.Sprintf("case %d, mean", k), append(f.z(x), x[len(f.rows)*f.dim:]...), g.Mean, 1e-6, 0)
		level := make([]float64, f.axes)
		var first, rows []byte // of least squares; refined
		for r := range f.rows {
			z := f.z(x)[r*f.axes : (r+1)*f.axes]
			first = append(first, roundRow(level, z, f.digits))
			for _, v := range z {
				at := (v/Scale(first[r]) + 1) * math.Exp2(float64(f.digits)) / 2
				if math.Abs(at-math.Round(at)) < 1e-6 {
					t.Errorf("case %d: got a value %g at a boundary, want another file", k, v)
				}
			}
		}
		c, err := f.round(context.Background(), x)
		if err != nil {
			t.Fatal(err)
		}
		golden.Same(t, fmt.Sprintf("case %d, scales of least squares", k), first, g.FirstScales)

		for r := range f.rows {
			rows = bits(rows, c.level[r*f.axes:(r+1)*f.axes], f.digits)
		}
		golden.Same(t, fmt.Sprintf("case %d, digits", k), rows, g.Rows)
		golden.Same(t, fmt.Sprintf("case %d, scales", k), c.scale, g.Scales)
		golden.Near(t, fmt.Sprintf("case %d, bias", k), c.bias, g.Bias, 1e-6, 0)
		got := make([]float64, len(g.LogProb))
		for i, to := range f.order {
			copy(got[to*g.C:], f.predict(c, i, numeric.Widen(g.Prior)))
		}
		golden.Near(t, fmt.Sprintf("case %d, log p", k), got, g.LogProb, 1e-6, 0)
	}
	if moved == 0 {
		t.Error("got no level that refining moves, want another file")
	}
}
