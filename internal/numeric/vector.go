// Package numeric has what the fits of the learner packages share: sums over float64 slices and
// L-BFGS. The same arguments give the same bits.
package numeric

import (
	"math"
	"slices"
)

// Dot is a·b with four sums, which the processor can keep in flight at once.
func Dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// Add is y += s·x.
func Add(y []float64, s float64, x []float64) {
	x = x[:len(y)]
	for i := range y {
		y[i] += s * x[i]
	}
}

// Add4 is y += s0·x0 + s1·x1 + s2·x2 + s3·x3, with one load and store of y instead of four.
func Add4(y []float64, s [4]float64, x0, x1, x2, x3 []float64) {
	x0, x1, x2, x3 = x0[:len(y)], x1[:len(y)], x2[:len(y)], x3[:len(y)]
	for i := range y {
		y[i] += (s[0]*x0[i] + s[1]*x1[i]) + (s[2]*x2[i] + s[3]*x3[i])
	}
}

// Widen is x in float64.
func Widen(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// Narrow is x rounded to float32.
func Narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// Dots are four times b·a_k, for which b is loaded once.
func Dots[T float32 | float64](a0, a1, a2, a3, b []T) (s0, s1, s2, s3 T) {
	a0, a1, a2, a3 = a0[:len(b)], a1[:len(b)], a2[:len(b)], a3[:len(b)]
	for i, v := range b {
		s0 += v * a0[i]
		s1 += v * a1[i]
		s2 += v * a2[i]
		s3 += v * a3[i]
	}
	return s0, s1, s2, s3
}

// Softmax turns logits into probabilities, in place, and is log Σ exp of what they were.
func Softmax(logits []float64) float64 {
	top, sum := slices.Max(logits), 0.0
	for i, z := range logits {
		logits[i] = math.Exp(z - top)
		sum += logits[i]
	}
	for i := range logits {
		logits[i] /= sum
	}
	return top + math.Log(sum)
}
