package population

import (
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// space is φ of all texts as the fits see it: centred, scaled to a mean square of 1, and in an
// orthonormal basis of what the texts span where that has fewer dimensions. Best weights lie in
// that span, and neither logits nor lengths change by the turn. For a choice alone, where texts are
// many and φ is long, the basis has the directions in which they vary most.
type space struct {
	texts, dim int
	x          []float64 // [T,dim+1]; the last value is 1
	narrow     []float32 // the same instead of x, where that would be large
	mean       []float64 // [D]
	scale      float64
	basis      []float64 // [dim,D]; nil: that of φ itself
	rough      bool      // the basis leaves something out
}

// many is how large [T,dim] is when products take float32.
const many = 1 << 18

// newSpace may leave out what little many texts vary by if it need not be exact.
func newSpace(p *Population, used []bool, exact bool, threads int) *space {
	s := &space{texts: len(p.Phi) / p.D, dim: p.D}
	s.measure(p, used)
	if 2*s.texts < p.D {
		s.span(p)
	} else if p.D > 2*kept && !exact {
		s.sketch(p, threads)
	}
	if s.texts*s.dim >= many {
		s.narrow = s.turned(p, threads)
		return s
	}
	s.x = make([]float64, s.texts*(s.dim+1))
	numeric.Parallel(threads, s.texts, 16, func(_, from, to int) {
		row := make([]float64, p.D)
		for t := from; t < to; t++ {
			s.standard(row, p.Phi[t*p.D:(t+1)*p.D])
			s.turn(s.x[t*(s.dim+1):(t+1)*(s.dim+1)], row)
		}
	})
	return s
}

// measure finds the mean and the scale of the texts that somebody answered.
func (s *space) measure(p *Population, used []bool) {
	s.mean, s.scale = make([]float64, p.D), 1
	count, square := 0.0, 0.0
	each := func(f func(phi []float32)) {
		for t := range s.texts {
			if used[t] {
				f(p.Phi[t*p.D : (t+1)*p.D])
			}
		}
	}
	each(func(phi []float32) {
		for i, v := range phi {
			s.mean[i] += float64(v)
		}
		count++
	})
	for i := range s.mean {
		s.mean[i] /= max(1, count)
	}
	row := make([]float64, p.D)
	each(func(phi []float32) {
		s.standard(row, phi)
		square += numeric.Dot(row, row) / max(1, count)
	})
	if square > 0 {
		s.scale = 1 / math.Sqrt(square)
	}
}

// standard writes a φ, centred and scaled.
func (s *space) standard(out []float64, phi []float32) {
	for i, v := range phi {
		out[i] = (float64(v) - s.mean[i]) * s.scale
	}
}

// span finds the basis of all texts.
func (s *space) span(p *Population) {
	s.basis = numeric.Orthonormal(p.D, s.texts, func(row []float64, t int) { s.standard(row, p.Phi[t*p.D:(t+1)*p.D]) })
	s.dim = len(s.basis) / p.D
}

// turn writes a centred and scaled φ in the basis, and a 1.
func (s *space) turn(x, phi []float64) {
	x[s.dim] = 1
	if s.basis == nil {
		copy(x, phi)
		return
	}
	for k := range s.dim {
		x[k] = numeric.Dot(phi, s.basis[k*len(phi):(k+1)*len(phi)])
	}
}

// raw turns weights and bias of a row, [dim+1], into those over φ as it was given: w, [D], and a
// bias.
func (s *space) raw(row []float64) (w []float64, bias float64) {
	d := len(s.mean)
	w = make([]float64, d)
	if s.basis == nil {
		copy(w, row[:d])
	} else {
		for k := range s.dim {
			numeric.Add(w, row[k], s.basis[k*d:(k+1)*d])
		}
	}
	for i := range w {
		w[i] *= s.scale
	}
	return w, row[s.dim] - numeric.Dot(w, s.mean)
}

// project is what rows of weights, [R,dim+1], give for each text: [T,R].
func (s *space) project(out, rows []float64, threads int) {
	width := s.dim + 1
	count := len(rows) / width
	if s.narrow != nil {
		widen(out, byRows(s.narrow, numeric.Narrow(rows), width, threads))
		return
	}
	numeric.Parallel(threads, s.texts, 32, func(_, from, to int) {
		for t := from; t < to; t++ {
			x, to, r := s.x[t*width:(t+1)*width], out[t*count:(t+1)*count], 0
			row := func(r int) []float64 { return rows[r*width : (r+1)*width] }
			for ; r+4 <= count; r += 4 {
				to[r], to[r+1], to[r+2], to[r+3] = numeric.Dots(row(r), row(r+1), row(r+2), row(r+3), x)
			}
			for ; r < count; r++ {
				to[r] = numeric.Dot(row(r), x)
			}
		}
	})
}

// gather is the transpose of project: it writes Σ_t by[t,r]·x_t to each row.
func (s *space) gather(rows, by []float64, threads int) {
	width := s.dim + 1
	count := len(rows) / width
	if s.narrow != nil {
		widen(rows, byTexts(s.narrow, numeric.Narrow(by), width, threads))
		return
	}
	clear(rows)
	x := func(t int) []float64 { return s.x[t*width : (t+1)*width] }
	numeric.Parallel(threads, count, 1, func(_, from, to int) {
		for r := from; r < to; r++ {
			row, t := rows[r*width:(r+1)*width], 0
			for ; t+4 <= s.texts; t += 4 {
				var w [4]float64
				for k := range w {
					w[k] = by[(t+k)*count+r]
				}
				if w != [4]float64{} {
					numeric.Add4(row, w, x(t), x(t+1), x(t+2), x(t+3))
				}
			}
			for ; t < s.texts; t++ {
				numeric.Add(row, by[t*count+r], x(t))
			}
		}
	})
}
