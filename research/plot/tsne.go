package plot

import (
	"math"
	"math/rand/v2"
)

// TSNE lays points out in the plane so that near ones stay near (van der Maaten & Hinton 2008),
// exactly, in O(n²) a step: for some hundred points. distances is n×n and symmetric. perplexity is
// about how many neighbours a point has; it is cut to what n allows. The same seed gives the same
// picture.
func TSNE(distances [][]float64, perplexity float64, steps int, seed uint64) [][2]float64 {
	n := len(distances)
	p := affinities(distances, math.Max(1, math.Min(perplexity, float64(n-1)/3)))
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	y, velocity, gains := make([][2]float64, n), make([][2]float64, n), make([][2]float64, n)
	for i := range y {
		y[i] = [2]float64{1e-2 * rng.NormFloat64(), 1e-2 * rng.NormFloat64()}
		gains[i] = [2]float64{1, 1}
	}
	for step := range steps {
		exaggeration, momentum := 1.0, 0.8
		if step < steps/4 {
			exaggeration, momentum = 12, 0.5
		}
		g := gradient(p, y, exaggeration)
		rate := math.Max(10, float64(n)/12)
		for i := range y {
			for d := range 2 {
				if (g[i][d] > 0) == (velocity[i][d] > 0) {
					gains[i][d] = math.Max(0.01, gains[i][d]*0.8)
				} else {
					gains[i][d] += 0.2
				}
				velocity[i][d] = momentum*velocity[i][d] - rate*gains[i][d]*g[i][d]
				y[i][d] += velocity[i][d]
			}
		}
	}
	return y
}

// affinities are the symmetric neighbour probabilities: each point's width is searched for so that
// its neighbours have the perplexity.
func affinities(distances [][]float64, perplexity float64) [][]float64 {
	n := len(distances)
	p := make([][]float64, n)
	for i := range p {
		p[i] = make([]float64, n)
		low, high, beta := 0.0, math.Inf(1), 1.0
		for range 60 {
			entropy := neighbours(p[i], distances[i], i, beta)
			if entropy > math.Log(perplexity) {
				low = beta
			} else {
				high = beta
			}
			if beta = (low + high) / 2; math.IsInf(high, 1) {
				beta = 2 * low
			}
		}
	}
	for i := range p {
		for j := range i {
			s := math.Max((p[i][j]+p[j][i])/float64(2*n), 1e-12)
			p[i][j], p[j][i] = s, s
		}
	}
	return p
}

// neighbours fills a row with exp(−β·d²), normalised, and returns its entropy.
func neighbours(row, d []float64, self int, beta float64) (entropy float64) {
	sum := 0.0
	for j := range row {
		if row[j] = 0; j != self {
			row[j] = math.Exp(-beta * d[j] * d[j])
			sum += row[j]
		}
	}
	for j := range row {
		if row[j] /= math.Max(sum, 1e-300); row[j] > 0 {
			entropy -= row[j] * math.Log(row[j])
		}
	}
	return entropy
}

func gradient(p [][]float64, y [][2]float64, exaggeration float64) [][2]float64 {
	n, sum := len(y), 0.0
	q := make([][]float64, n)
	for i := range q {
		q[i] = make([]float64, n)
		for j := range i {
			dx, dy := y[i][0]-y[j][0], y[i][1]-y[j][1]
			q[i][j] = 1 / (1 + dx*dx + dy*dy)
			q[j][i] = q[i][j]
			sum += 2 * q[i][j]
		}
	}
	g := make([][2]float64, n)
	for i := range g {
		for j := range g {
			if i != j {
				f := 4 * (exaggeration*p[i][j] - q[i][j]/sum) * q[i][j]
				g[i][0] += f * (y[i][0] - y[j][0])
				g[i][1] += f * (y[i][1] - y[j][1])
			}
		}
	}
	return g
}
