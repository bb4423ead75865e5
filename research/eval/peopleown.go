package eval

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/population"
)

// peopleStrengths are the L2 of own heads.
var peopleStrengths = []float64{0.03, 0.1, 0.3, 1, 3, 10}

// ownSpan is φ of a person's texts in a basis of what those that are learned from span: the best
// difference from the shared head lies in it.
type ownSpan struct {
	dim         int
	train, test [][]float64
}

func newOwnSpan(phi []float32, train, test []int, centre []float32, scale float32) *ownSpan {
	s, d := &ownSpan{}, len(centre)
	row := func(t int) []float64 {
		out := make([]float64, d)
		for i, v := range phi[t*d : (t+1)*d] {
			out[i] = float64((v - centre[i]) * scale)
		}
		return out
	}
	var basis [][]float64
	for _, t := range train {
		x := row(t)
		size := math.Sqrt(numeric.Dot(x, x))
		for range 2 {
			for _, q := range basis {
				numeric.Add(x, -numeric.Dot(x, q), q)
			}
		}
		rest := math.Sqrt(numeric.Dot(x, x))
		if rest <= 1e-9*size {
			continue
		}
		for i := range x {
			x[i] /= rest
		}
		basis = append(basis, x)
	}
	s.dim = len(basis)
	in := func(t int) (out []float64) {
		x := row(t)
		for _, q := range basis {
			out = append(out, numeric.Dot(x, q))
		}
		return out
	}
	for _, t := range train {
		s.train = append(s.train, in(t))
	}
	for _, t := range test {
		s.test = append(s.test, in(t))
	}
	return s
}

// fit finds the difference from a head, [C,dim], and biases, and returns the test's logits.
func (s *ownSpan) fit(ctx context.Context, m *population.Model, own, test *population.Examples,
	lambda float64) ([][]float64, error) {
	C := m.C
	logits := func(x, u, base []float64) []float64 {
		out := make([]float64, C)
		for c := range out {
			out[c] = base[c] + x[C*s.dim+c] + numeric.Dot(u, x[c*s.dim:(c+1)*s.dim])
		}
		return out
	}
	x := make([]float64, C*(s.dim+1))
	min := numeric.Minimizer{MaxSteps: 200, Gradient: 1e-4}
	_, err := min.Run(ctx, x, func(x, g []float64) float64 {
		value := 0.0
		for k, v := range x {
			l := lambda
			if k >= C*s.dim {
				l = 1
			}
			g[k] = l * v
			value += l * v * v / 2
		}
		for i, u := range s.train {
			z := logits(x, u, own.Rows[i*m.Width():])
			loss, _ := logLoss(z, own.Class[i])
			value += loss
			lse := loss + z[own.Class[i]]
			for c, v := range z {
				r := math.Exp(v - lse)
				if c == own.Class[i] {
					r--
				}
				numeric.Add(g[c*s.dim:(c+1)*s.dim], r, u)
				g[C*s.dim+c] += r
			}
		}
		return value
	})
	var out [][]float64
	for i, u := range s.test {
		out = append(out, logits(x, u, test.Rows[i*m.Width():]))
	}
	return out, err
}
