package population

import (
	"cmp"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/internal/numeric"
)

// Model is a head for everybody and J axes on which people differ, over φ as it was given. A person
// with code z and bias b has the logits
//
//	Wφ + a + b + Σ_j z_j (V_j φ + B_j)
//
// z_j is one of 2^Digits[j] levels between ± Range[j]. V and B hold numbers that float16 holds.
// A text that the population knows has besides what Know adds to its row.
type Model struct {
	C, D, J int
	W       []float32 // [C,D]
	A       []float32 // [C]
	V       []float32 // [J,C,D]
	B       []float32 // [J,C]
	Range   []float32 // [J]
	Digits  []int     // [J]
	Counts  []uint32  // [C]: the labels that it was trained on, see Prior
	Beta    float64   // the precision of b; 0 means 1
	Own     []float32 // [T,(1+J)·C]: what each known text adds to its row; numbers that float16 holds; nil: none
	Known   []int32   // of each row of Own, the text's number in the Population
}

func (m *Model) beta() float64 { return cmp.Or(m.Beta, 1) }

// Know adds row k of Own to the row of the text that it is of.
func (m *Model) Know(row []float64, k int) {
	for i, v := range m.Own[k*m.Width() : (k+1)*m.Width()] {
		row[i] += float64(v)
	}
}

// Of codes: an axis has most digits at most, over span standard deviations of the people's z to
// both sides.
const (
	most = 8
	span = 2.5
)

// digitsOf allots digits by variance: the axis that moves logits most gets all, another one less
// for each half of its deviation.
func digitsOf(effect float64, all []float64) int {
	if effect <= 0 {
		return 1
	}
	return max(1, most+int(math.Round(math.Log2(effect/slices.Max(all))/2)))
}

// round makes V, B and Own numbers that float16 holds.
func (m *Model) round() {
	for _, x := range [][]float32{m.V, m.B, m.Own} {
		for i, v := range x {
			x[i] = half.To(half.From(v))
		}
	}
}

// Width is the number of values of a text's row: (1+J)·C.
func (m *Model) Width() int { return (1 + m.J) * m.C }

// Project appends the rows of texts to dst: what the head gives each label, then what each axis
// adds at z = 1. phi is [n,D].
func (m *Model) Project(dst []float64, phi []float32) []float64 {
	for ; len(phi) > 0; phi = phi[m.D:] {
		x := numeric.Widen(phi[:m.D])
		w := make([]float64, m.D)
		for _, part := range []struct{ w, bias []float32 }{{m.W, m.A}, {m.V, m.B}} {
			for r, bias := range part.bias {
				widen(w, part.w[r*m.D:(r+1)*m.D])
				dst = append(dst, float64(bias)+numeric.Dot(w, x))
			}
		}
	}
	return dst
}

// Prior is what label counts add to the head's logits where there is no code.
func (m *Model) Prior(counts []uint32) []float64 {
	out := make([]float64, m.C)
	prior(out, counts, m.Counts)
	return out
}
