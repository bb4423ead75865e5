package population

import (
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// solver fits one person: x = (z, b) minimizes
//
//	Σ_i w_i·−log softmax(base_i + b + Σ_j z_j·axis_ij)_c + ½‖z‖² + ½β‖b‖²
//
// A text's part is a row of (1+J)·C values: base, then what each axis adds. The problem is convex,
// and Newton's method needs a few steps.
type solver struct {
	axes, labels  int
	weight        []float64 // w, of each answer; nil: 1
	beta          float64   // β
	enough        float64   // the Newton decrement, squared, below which the step that was found is the last
	hessian       []float64 // [n,n]: the lower triangle, then its Cholesky factor
	gradient      []float64
	step, trial   []float64
	logits, slope []float64 // [C]; [J,C]: p_c·(axis_jc − its mean)
}

func newSolver(axes, labels int, beta float64) *solver {
	n := axes + labels
	return &solver{axes: axes, labels: labels, beta: beta, enough: closely, hessian: make([]float64, n*n),
		gradient: make([]float64, n), step: make([]float64, n), trial: make([]float64, n),
		logits: make([]float64, labels), slope: make([]float64, axes*labels)}
}

// closely and loosely end Newton's method in final fits and in a choice: what is left after a step
// is of the order of the decrement's square.
const (
	closely = 1e-9
	loosely = 1e-5

	newtonSteps = 60 // of one solve, at most
)

// solve improves x to the minimum, whose value it returns. What is left of the answers there, p −
// e_c, it writes to residual, [n,C], if that is not nil.
func (s *solver) solve(rows []float64, a Answers, x []float64, residual []float32) float64 {
	value := s.derive(rows, a, x)
	for range newtonSteps {
		factor(s.hessian, len(x))
		copy(s.step, s.gradient)
		substitute(s.hessian, s.step)
		decrement := numeric.Dot(s.step, s.gradient)
		if decrement <= s.enough {
			numeric.Add(x, -1, s.step)
			break
		}
		for t := 1.0; ; t /= 2 {
			copy(s.trial, x)
			numeric.Add(s.trial, -t, s.step)
			next := s.derive(rows, a, s.trial)
			if next <= value-1e-4*t*decrement || t < 1e-6 {
				value = next
				break
			}
		}
		copy(x, s.trial)
	}
	return s.value(rows, a, x, residual)
}

// shrink is the prior's part of the value.
func (s *solver) shrink(x []float64) float64 {
	z, b := x[:s.axes], x[s.axes:]
	return (numeric.Dot(z, z) + s.beta*numeric.Dot(b, b)) / 2
}

func (s *solver) weightOf(i int) float64 {
	if s.weight == nil {
		return 1
	}
	return s.weight[i]
}

// answer writes the logits of a text's row to s.logits.
func (s *solver) answer(row, x []float64) []float64 {
	C := s.labels
	for c := range C {
		s.logits[c] = row[c] + x[s.axes+c]
	}
	for j := range s.axes {
		numeric.Add(s.logits, x[j], row[(1+j)*C:(2+j)*C])
	}
	return s.logits
}

func (s *solver) row(rows []float64, text int32) []float64 {
	width := (1 + s.axes) * s.labels
	return rows[int(text)*width : (int(text)+1)*width]
}

func (s *solver) value(rows []float64, a Answers, x []float64, residual []float32) float64 {
	sum := s.shrink(x)
	for i, t := range a.Text {
		p := s.answer(s.row(rows, t), x)
		z := p[a.Class[i]]
		if sum += s.weightOf(i) * (softmax(p) - z); residual != nil {
			p[a.Class[i]]--
			for c, v := range p {
				residual[i*s.labels+c] = float32(v)
			}
		}
	}
	return sum
}

// derive is value, with the gradient and the Hessian.
func (s *solver) derive(rows []float64, a Answers, x []float64) float64 {
	J, C, n := s.axes, s.labels, len(x)
	sum := s.shrink(x)
	copy(s.gradient, x)
	clear(s.hessian)
	for k := range n {
		s.hessian[k*n+k] = 1
		if k >= J {
			s.hessian[k*n+k] = s.beta
			s.gradient[k] *= s.beta
		}
	}
	for i, t := range a.Text {
		row := s.row(rows, t)
		p := s.answer(row, x)
		z := p[a.Class[i]]
		w := s.weightOf(i)
		sum += w * (softmax(p) - z)
		s.bend(row, p, w)
		p[a.Class[i]]--
		for c := range p {
			p[c] *= w
			s.gradient[J+c] += p[c]
		}
		for j := range J {
			s.gradient[j] += numeric.Dot(p, row[(1+j)*C:(2+j)*C])
		}
	}
	return sum
}

// bend adds a text's part to the Hessian: w times Φᵀ(diag p − ppᵀ)Φ of the axes and the biases.
func (s *solver) bend(row, p []float64, w float64) {
	J, C, n := s.axes, s.labels, s.axes+s.labels
	for j := range J {
		axis, slope := row[(1+j)*C:(2+j)*C], s.slope[j*C:(j+1)*C]
		mean := numeric.Dot(p, axis)
		for c, v := range axis {
			slope[c] = w * p[c] * (v - mean)
			s.hessian[(J+c)*n+j] += slope[c]
		}
		for k := range j + 1 {
			s.hessian[j*n+k] += numeric.Dot(slope, row[(1+k)*C:(2+k)*C])
		}
	}
	for c := range C {
		h := s.hessian[(J+c)*n+J:]
		numeric.Add(h[:c+1], -w*p[c], p[:c+1])
		h[c] += w * p[c]
	}
}

// softmax turns logits into probabilities, in place, and is log Σ exp of what they were.
func softmax(logits []float64) float64 {
	if len(logits) == 2 { // one exponential instead of two
		top, e := max(logits[0], logits[1]), math.Exp(-math.Abs(logits[0]-logits[1]))
		high := 1 / (1 + e)
		if logits[0] >= logits[1] {
			logits[0], logits[1] = high, e*high
		} else {
			logits[0], logits[1] = e*high, high
		}
		return top + math.Log1p(e)
	}
	return numeric.Softmax(logits)
}

// factor turns the lower triangle of a positive definite matrix into its Cholesky factor.
func factor(h []float64, n int) {
	for i := range n {
		for j := range i + 1 {
			v := h[i*n+j] - numeric.Dot(h[i*n:i*n+j], h[j*n:j*n+j])
			if i == j {
				h[i*n+i] = math.Sqrt(v)
			} else {
				h[i*n+j] = v / h[j*n+j]
			}
		}
	}
}

// substitute solves L·Lᵀ·y = x in place.
func substitute(l, x []float64) {
	n := len(x)
	for i := range n {
		x[i] = (x[i] - numeric.Dot(l[i*n:i*n+i], x[:i])) / l[i*n+i]
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			x[i] -= l[k*n+i] * x[k]
		}
		x[i] /= l[i*n+i]
	}
}
