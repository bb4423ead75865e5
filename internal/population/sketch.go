package population

import (
	"math/rand/v2"

	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/internal/numeric"
)

// kept is how many directions stand for φ in a choice where it is longer than twice that and texts
// are many: in all of φ the same settings win, five times as slowly.
const kept = 320

// block is how many texts are held in float32 beside their φ.
const block = 2048

// sketch finds the basis by a randomised range finder with three passes over the texts: what their
// largest kept directions span, nearly.
func (s *space) sketch(p *Population, threads int) {
	rng := rand.New(rand.NewPCG(uint64(p.D), 0x736b65746368))
	q := make([]float32, kept*p.D)
	for i := range q {
		q[i] = float32(rng.NormFloat64())
	}
	for range powers {
		sum := make([]float64, len(q))
		s.blocks(p, func(_ int, x []float32) {
			for i, v := range byTexts(x, byRows(x, q, p.D, threads), p.D, threads) {
				sum[i] += float64(v)
			}
		})
		s.basis = numeric.Orthonormal(p.D, kept, func(row []float64, k int) { copy(row, sum[k*p.D:(k+1)*p.D]) })
		q = numeric.Narrow(s.basis)
	}
	s.dim, s.rough = len(s.basis)/p.D, true
}

// blocks calls f for the texts' standardised φ, block by block.
func (s *space) blocks(p *Population, f func(first int, x []float32)) {
	row := make([]float64, p.D)
	for first := 0; first < s.texts; first += block {
		n := min(block, s.texts-first)
		x := make([]float32, 0, n*p.D)
		for t := first; t < first+n; t++ {
			s.standard(row, p.Phi[t*p.D:(t+1)*p.D])
			for _, v := range row {
				x = append(x, float32(v))
			}
		}
		f(first, x)
	}
}

// turned is all texts in the basis, and a 1: [T,dim+1].
func (s *space) turned(p *Population, threads int) []float32 {
	width := s.dim + 1
	out, basis := make([]float32, s.texts*width), numeric.Narrow(s.basis)
	s.blocks(p, func(first int, x []float32) {
		if s.basis != nil {
			x = byRows(x, basis, p.D, threads)
		}
		for t := range len(x) / s.dim {
			row := out[(first+t)*width : (first+t+1)*width]
			copy(row, x[t*s.dim:(t+1)*s.dim])
			row[s.dim] = 1
		}
	})
	return out
}

// byRows is x·rowsᵀ, [T,R], of x, [T,width], and rows, [R,width].
func byRows(x, rows []float32, width, threads int) []float32 {
	texts, count := len(x)/width, len(rows)/width
	out := make([]float32, texts*count)
	if count == 0 {
		return out
	}
	packed := dense.Pack(width, count, rows, 1, width)
	numeric.Parallel(threads, texts, 96, func(_, from, to int) {
		packed.Times(to-from, x[from*width:], width, out[from*count:], count, false)
	})
	return out
}

// byTexts is byᵀ·x, [R,width], of by, [T,R].
func byTexts(x, by []float32, width, threads int) []float32 {
	texts := len(x) / width
	count := len(by) / max(1, texts)
	out := make([]float32, count*width)
	numeric.Parallel(threads, width, 64, func(_, from, to int) {
		dense.Gemm(count, to-from, texts, by, 1, count, x[from:], width, out[from:], width, false)
	})
	return out
}

func widen(out []float64, x []float32) {
	for i, v := range x {
		out[i] = float64(v)
	}
}
