package stats

import (
	"math"
	"slices"
)

// Mean is 0 for none.
func Mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / math.Max(1, float64(len(xs)))
}

// Pearson is the linear correlation; 0 where one side is constant.
func Pearson(a, b []float64) float64 {
	ma, mb := Mean(a), Mean(b)
	ab, aa, bb := 0.0, 0.0, 0.0
	for i := range a {
		x, y := a[i]-ma, b[i]-mb
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// Spearman is the correlation of ranks; equal values share their mean rank.
func Spearman(a, b []float64) float64 { return Pearson(ranks(a), ranks(b)) }

func ranks(xs []float64) []float64 {
	order := make([]int, len(xs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		switch {
		case xs[i] < xs[j]:
			return -1
		case xs[i] > xs[j]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(xs))
	for at := 0; at < len(order); {
		end := at
		for end < len(order) && xs[order[end]] == xs[order[at]] {
			end++
		}
		for _, i := range order[at:end] {
			out[i] = float64(at+end-1) / 2
		}
		at = end
	}
	return out
}
