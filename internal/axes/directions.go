package axes

import (
	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/model"
)

// Axes are the head's side of a bank: unit vectors over φ, the features of a text, scaled so that
// over the strings that the axes were made of the mean square of φ is 1. A direction is an axis
// times ±K·2^-m, for each digit m of 1 to Digits; a row takes one of each pair, K of the N = 2·K,
// and the average of what it takes is, along each axis, a signed binary number between ±(1 −
// 2^-Digits).
//
// Axes are not changed after they were made; all methods may be called concurrently.
type Axes struct {
	model.Features
	Digits int       // M
	V      []float32 // [A,T·d]: orthonormal rows, each entry one that float16 holds
}

// Count is A, the number of axes.
func (a *Axes) Count() int { return len(a.V) / a.Dim() }

// K is the number of digits of all axes: the bits of a row.
func (a *Axes) K() int { return a.Count() * a.Digits }

// Properties are those of the bank: 2·K directions in one block.
func (a *Axes) Properties() bank.Properties {
	p := bank.Properties{Origin: bank.HeadAxes, N: 2 * a.K(), Blocks: 1, Hidden: a.Hidden, Bottleneck: len(a.Taps),
		DType: bank.F16, Digits: a.Digits}
	for _, t := range a.Taps {
		p.Taps |= 1 << t
	}
	return p
}

// Levels appends a row's number on each axis: Σ_m ±2^-m. Bit j·Digits + m − 1, the least
// significant of its byte first, is the sign of digit m of axis j: 1 is plus.
func (a *Axes) Levels(dst []float32, row []byte) []float32 {
	for j := range a.Count() {
		level := 0
		for m := range a.Digits {
			i := j*a.Digits + m
			level = 2*level + 2*int(row[i/8]>>(i%8)&1) - 1
		}
		dst = append(dst, float32(level)/float32(int(1)<<a.Digits))
	}
	return dst
}

// AddRow folds a row: it adds scale × Σ_j level_j·V_j to w, of Dim values.
func (a *Axes) AddRow(w []float32, row []byte, scale float32) {
	levels := a.Levels(make([]float32, 0, a.Count()), row)
	for j := range levels {
		levels[j] *= scale
	}
	dim := a.Dim()
	w = w[:dim]
	v := a.V
	for ; len(levels) >= 4; levels, v = levels[4:], v[4*dim:] {
		l0, l1, l2, l3 := levels[0], levels[1], levels[2], levels[3]
		v0, v1, v2, v3 := v[:dim], v[dim:2*dim], v[2*dim:3*dim], v[3*dim:4*dim]
		for i := range w {
			w[i] += l0*v0[i] + l1*v1[i] + l2*v2[i] + l3*v3[i]
		}
	}
	for j, l := range levels {
		for i, x := range v[j*dim:][:dim] {
			w[i] += l * x
		}
	}
}

// Project appends V·φ of each text to dst, [n,A]: phi is [n,Dim]. A text's values are the same to
// the bit whatever texts are beside it.
func (a *Axes) Project(dst, phi []float32) []float32 {
	dim, count := a.Dim(), a.Count()
	n := len(phi) / dim
	start := len(dst)
	dst = append(dst, make([]float32, n*count)...)
	out := dst[start:]
	j := 0
	for ; j+4 <= count; j += 4 {
		for i := range n {
			to, v, x := out[i*count+j:][:4], a.V[j*dim:][:4*dim], phi[i*dim:][:dim]
			to[0], to[1], to[2], to[3] = numeric.Dots(v[:dim], v[dim:2*dim], v[2*dim:3*dim], v[3*dim:], x)
		}
	}
	for ; j < count; j++ {
		for i := range n {
			out[i*count+j] = dot(a.V[j*dim:][:dim], phi[i*dim:][:dim])
		}
	}
	return dst
}

// dot is each of numeric.Dots.
func dot(a, b []float32) (sum float32) {
	for i, v := range b {
		sum += v * a[i]
	}
	return sum
}
