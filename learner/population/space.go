package population

import (
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// space is φ of all texts as the fits see it: centred, scaled to a mean square of 1, and in an orthonormal basis of what the texts span where that has fewer
// dimensions. Best weights lie in that span, and neither logits nor lengths change by the turn.
type space struct {
	texts, dim int
	x          []float64 // [T,dim+1]; the last value is 1
	mean       []float64 // [D]
	scale      float64
	basis      []float64 // [dim,D]; nil: that of φ itself
}

func newSpace(p *Population, used []bool, threads int) *space {
	s := &space{texts: len(p.Phi) / p.D, dim: p.D, mean: make([]float64, p.D)}
	all, count := numeric.Widen(p.Phi), 0.0
	for t := range s.texts {
		if used[t] {
			numeric.Add(s.mean, 1, all[t*p.D:(t+1)*p.D])
			count++
		}
	}
	for i := range s.mean {
		s.mean[i] /= max(1, count)
	}
	square := 0.0
	for t := range s.texts {
		row := all[t*p.D : (t+1)*p.D]
		numeric.Add(row, -1, s.mean)
		if used[t] {
			square += numeric.Dot(row, row) / max(1, count)
		}
	}
	if s.scale = 1; square > 0 {
		s.scale = 1 / math.Sqrt(square)
	}
	for i := range all {
		all[i] *= s.scale
	}
	if 2*s.texts < p.D {
		s.span(all, p.D)
	}
	s.x = make([]float64, s.texts*(s.dim+1))
	parallel(threads, s.texts, 16, func(_, from, to int) {
		for t := from; t < to; t++ {
			s.turn(s.x[t*(s.dim+1):(t+1)*(s.dim+1)], all[t*p.D:(t+1)*p.D])
		}
	})
	return s
}

// span finds the basis: Gram-Schmidt, each vector twice.
func (s *space) span(all []float64, d int) {
	s.basis = []float64{}
	for t := range s.texts {
		row := slices.Clone(all[t*d : (t+1)*d])
		size := math.Sqrt(numeric.Dot(row, row))
		for range 2 {
			for at := 0; at < len(s.basis); at += d {
				q := s.basis[at : at+d]
				numeric.Add(row, -numeric.Dot(row, q), q)
			}
		}
		if rest := math.Sqrt(numeric.Dot(row, row)); rest > 1e-9*size {
			for i := range row {
				row[i] /= rest
			}
			s.basis = append(s.basis, row...)
		}
	}
	s.dim = len(s.basis) / d
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

// raw turns weights and bias of a row, [dim+1], into those over φ as it was given: w, [D], and a bias.
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
	parallel(threads, s.texts, 32, func(_, from, to int) {
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
	clear(rows)
	x := func(t int) []float64 { return s.x[t*width : (t+1)*width] }
	parallel(threads, count, 1, func(_, from, to int) {
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
