package native

import (
	"math"

	"github.com/xpeft/xpeft/internal/dense"
)

// standardize writes x̂ = (x − mean x)/σ over every row of x [T,n], σ² = var x + ε, and 1/σ [T].
// xhat may be x. ones is n ones or more.
func standardize(xhat, bySigma, x, ones []float32, n int, eps float32) {
	ones = ones[:n]
	for t := range bySigma {
		row, hat := x[t*n:(t+1)*n], xhat[t*n:(t+1)*n]
		mean := dense.Dot(row, ones) / float32(n)
		for j, v := range row {
			hat[j] = v - mean
		}
		by := float32(1 / math.Sqrt(float64(dense.Dot(hat, hat)/float32(n)+eps)))
		for j := range hat {
			hat[j] *= by
		}
		bySigma[t] = by
	}
}

// standardizeGradient is ∂L/∂x = (g − mean g − x̂·mean(g⊙x̂))/σ of one row, for g = ∂L/∂x̂ [n].
// It may replace g or x̂.
func standardizeGradient(dx, g, xhat, ones []float32, bySigma float32) {
	n := float32(len(g))
	mean, along := dense.Dot(g, ones[:len(g)])/n, dense.Dot(g, xhat)/n
	for j, v := range g {
		dx[j] = (v - mean - xhat[j]*along) * bySigma
	}
}

// scale writes y = x̂⊙w + c for every row of x̂ [T,n]; y may be x̂.
func scale(y, xhat, w, c []float32) {
	for n := len(w); len(xhat) > 0; y, xhat = y[n:], xhat[n:] {
		for j, v := range xhat[:n] {
			y[j] = v*w[j] + c[j]
		}
	}
}
