package population

import (
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Ask chooses the texts whose answers tell most about a person's z and b, given what they have
// answered so far: up to n of candidates, rows of Model.Project, best first. Each is the one of
// largest
//
//	answered · log det(I + Σ ΦᵀSΦ),  S = diag p − ppᵀ
//
// where Σ is the person's posterior covariance, updated after each choice as if it were answered; p
// are the probabilities at the person's code as it is known now. answered is the probability that a
// candidate is answered at all; nil: 1.
func (m *Model) Ask(e *Examples, candidates []float64, answered []float64, n int) ([]int, error) {
	a, err := m.check(e)
	if err != nil {
		return nil, err
	}
	s, x := newSolver(m.J, m.C, m.beta()), make([]float64, m.J+m.C)
	s.weight = e.Weight
	s.solve(e.Rows, a, x, nil)
	s.derive(e.Rows, a, x)
	h := append([]float64(nil), s.hessian...) // the inverse of Σ: its lower triangle
	count := len(candidates) / m.Width()
	bends := make([][]float64, count)
	for i := range bends {
		row := candidates[i*m.Width() : (i+1)*m.Width()]
		p := s.answer(row, x)
		softmax(p)
		clear(s.hessian)
		s.bend(row, p, 1)
		bends[i] = append([]float64(nil), s.hessian...)
	}
	var out []int
	for range min(n, count) {
		best, most := -1, math.Inf(-1)
		now := logDet(h, nil, len(x))
		for i, bend := range bends {
			if bend == nil {
				continue
			}
			tells := logDet(h, bend, len(x)) - now
			if answered != nil {
				tells *= answered[i]
			}
			if tells > most {
				best, most = i, tells
			}
		}
		numeric.Add(h, 1, bends[best])
		bends[best] = nil
		out = append(out, best)
	}
	return out, nil
}

// logDet is log det(h + bend) of lower triangles.
func logDet(h, bend []float64, n int) (sum float64) {
	l := append([]float64(nil), h...)
	if bend != nil {
		numeric.Add(l, 1, bend)
	}
	factor(l, n)
	for i := range n {
		sum += 2 * math.Log(l[i*n+i])
	}
	return sum
}
