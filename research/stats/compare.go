package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Interval is a mean with the range that holds it in 95 of 100 resamples.
type Interval struct{ Mean, Low, High float64 }

// Bootstrap resamples the units with replacement and takes percentiles of the means. Of fewer than
// two values the interval is the mean.
func Bootstrap(values []float64, draws int, seed uint64) Interval {
	m := Mean(values)
	if len(values) < 2 || draws < 1 {
		return Interval{m, m, m}
	}
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	means := make([]float64, draws)
	for d := range means {
		sum := 0.0
		for range values {
			sum += values[rng.IntN(len(values))]
		}
		means[d] = sum / float64(len(values))
	}
	return percentiles(m, means)
}

// BootstrapWithin resamples each group's values for themselves: the groups are fixed, and each
// counts the same.
func BootstrapWithin(groups [][]float64, draws int, seed uint64) Interval {
	mean := func(pick func(group []float64) float64) (sum float64) {
		for _, g := range groups {
			sum += pick(g) / float64(len(groups))
		}
		return sum
	}
	m := mean(Mean)
	if len(groups) == 0 || draws < 1 {
		return Interval{m, m, m}
	}
	rng := rand.New(rand.NewPCG(seed, 0xbf58476d1ce4e5b9))
	means := make([]float64, draws)
	for d := range means {
		means[d] = mean(func(group []float64) (sum float64) {
			for range group {
				sum += group[rng.IntN(len(group))] / float64(len(group))
			}
			return sum
		})
	}
	return percentiles(m, means)
}

// percentiles sorts the resamples' means.
func percentiles(m float64, means []float64) Interval {
	slices.Sort(means)
	at := func(q float64) float64 { return means[int(math.Round(q*float64(len(means)-1)))] }
	return Interval{m, at(0.025), at(0.975)}
}

// PairedPermutation is the two-sided p of the mean of a − b, where each unit's difference could as
// well have the other sign: (1 + the draws at least as far from 0) / (1 + draws). It is 1 where a
// and b are equal.
func PairedPermutation(a, b []float64, draws int, seed uint64) float64 {
	diff := make([]float64, len(a))
	for i := range a {
		diff[i] = a[i] - b[i]
	}
	observed := math.Abs(Mean(diff))
	rng := rand.New(rand.NewPCG(seed, 0xd1b54a32d192ed03))
	far := 0
	for range draws {
		sum := 0.0
		for _, x := range diff {
			if rng.Uint64()&1 == 0 {
				x = -x
			}
			sum += x
		}
		if math.Abs(sum/math.Max(1, float64(len(diff)))) >= observed-1e-12 {
			far++
		}
	}
	return float64(1+far) / float64(1+draws)
}

// Holm adjusts p-values for having asked so many questions (Holm 1979). The order is the input's.
func Holm(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case ps[i] < ps[j]:
			return -1
		case ps[i] > ps[j]:
			return 1
		}
		return 0
	})
	out, least := make([]float64, len(ps)), 0.0
	for rank, i := range order {
		least = math.Max(least, math.Min(1, ps[i]*float64(len(ps)-rank)))
		out[i] = least
	}
	return out
}
