package rank

import (
	"context"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Choice is one choice among candidates. Choices may have rows in common.
type Choice struct {
	Rows   [][]float64 // [n][A]: p(x) of each candidate
	Base   []float64   // [n]: what each scores without z
	Chosen int
}

// scores are those of the candidates, [n]. A z of one number more than there are axes ends in how
// much more than once the base counts.
func (c *Choice) scores(z []float64) []float64 {
	out := make([]float64, len(c.Base))
	for i, row := range c.Rows {
		out[i] = c.Base[i] + numeric.Dot(row, z)
		if len(z) > len(row) {
			out[i] += z[len(row)] * c.Base[i]
		}
	}
	return out
}

// Loss is −log p of what was chosen, and whether nothing scores higher. The gradient by z is added
// to g unless that is nil.
func (c *Choice) Loss(z, g []float64) (loss float64, right bool) {
	p := c.scores(z)
	chosen := p[c.Chosen]
	right = true
	for i, s := range p {
		right = right && (s < chosen || i == c.Chosen)
	}
	loss = numeric.Softmax(p) - chosen
	if g == nil {
		return loss, right
	}
	p[c.Chosen]--
	for i, residual := range p {
		row := c.Rows[i]
		numeric.Add(g[:len(row)], residual, row)
		if len(g) > len(row) {
			g[len(row)] += residual * c.Base[i]
		}
	}
	return loss, right
}

// fitSteps is the most steps of one fit.
const fitSteps = 200

// Fit changes z to the minimum of Σ loss + ½λ‖z‖², from z on. It is ctx's error that ends it.
func Fit(ctx context.Context, choices []Choice, lambda float64, z []float64) error {
	m := numeric.Minimizer{MaxSteps: fitSteps, Gradient: 1e-4}
	_, err := m.Run(ctx, z, func(z, g []float64) float64 {
		clear(g)
		sum := lambda / 2 * numeric.Dot(z, z)
		for i := range choices {
			loss, _ := choices[i].Loss(z, g)
			sum += loss
		}
		numeric.Add(g, lambda, z)
		return sum
	})
	return err
}

// Score is how choices are foretold: the mean loss, and how many have what was chosen alone at the
// top.
type Score struct {
	Loss  float64
	Right int
}

// Add counts one more of n choices.
func (s *Score) Add(c *Choice, z []float64, n int) {
	loss, right := c.Loss(z, nil)
	s.Loss += loss / float64(n)
	if right {
		s.Right++
	}
}
