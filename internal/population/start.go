package population

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Of the randomised range finder.
const (
	spare  = 4 // directions beside those that are wanted
	powers = 3 // passes over the answers
)

// directions are the first right singular vectors of the people's summed gradients of the head, Σ_i
// (p − e_c)φᵀ, one row a person, at the codes that the last solve left for rank 0:
// [rank,C·(dim+1)]. The matrix is never made: a pass over the answers multiplies by it, as one over
// the texts does by its transpose.
func (j *joint) directions(rank int, seed uint64) []float64 {
	count := rank + spare
	size := j.labels * (j.dim + 1)
	rng := rand.New(rand.NewPCG(seed, 0x706f70756c6174))
	b := make([]float64, count*size)
	for i := range b {
		b[i] = rng.NormFloat64()
	}
	rows, by := make([]float64, j.texts*count*j.labels), make([]float64, len(j.people)*count)
	for range powers {
		j.project(rows, b, j.threads)
		j.perPerson(by, rows, count)
		orthonormalise(by, count)
		j.perText(rows, by, count)
		j.gather(b, rows, j.threads)
	}
	square := make([]float64, count*count)
	for k := range count {
		for l := range count {
			square[k*count+l] = numeric.Dot(b[k*size:(k+1)*size], b[l*size:(l+1)*size])
		}
	}
	_, vectors := eigen(square, count)
	out := make([]float64, rank*size)
	for r := range rank {
		for k := range count {
			numeric.Add(out[r*size:(r+1)*size], vectors[r*count+k], b[k*size:(k+1)*size])
		}
	}
	return out
}

// perPerson is the gradients times some directions, of which rows holds the texts' values:
// [U,count].
func (j *joint) perPerson(by, rows []float64, count int) {
	C := j.labels
	clear(by)
	numeric.Parallel(j.threads, len(j.people), 8, func(_, from, to int) {
		for u := from; u < to; u++ {
			for i, t := range j.people[u].Text {
				r := j.residual[(j.first[u]+i)*C : (j.first[u]+i+1)*C]
				for k := range count {
					by[u*count+k] += dotNarrow(r, rows[(int(t)*count+k)*C:(int(t)*count+k+1)*C])
				}
			}
		}
	})
}

// perText sums over each text's answers the residual, times each of the person's values.
func (j *joint) perText(rows, by []float64, count int) {
	C := j.labels
	clear(rows)
	numeric.Parallel(j.threads, j.texts, 32, func(_, from, to int) {
		for t := from; t < to; t++ {
			for _, i := range j.byText[j.textAt[t]:j.textAt[t+1]] {
				r := j.residual[int(i)*C : (int(i)+1)*C]
				for k := range count {
					addNarrow(rows[(t*count+k)*C:(t*count+k+1)*C], by[int(j.owner[i])*count+k], r)
				}
			}
		}
	})
}

// start is W and V to begin with: the head, and directions scaled so that the mean square of what
// one adds to a logit is 1. Own parts start at 0.
func (j *joint) start(head, directions []float64, rank int) []float64 {
	size := j.labels * (j.dim + 1)
	x := slices.Concat(head, directions[:rank*size])
	rows := make([]float64, j.texts*rank*j.labels)
	j.project(rows, x[size:], j.threads)
	for r := range rank {
		square, answers := 0.0, 0.0
		for t := range j.texts {
			n := float64(j.textAt[t+1] - j.textAt[t])
			at := rows[(t*rank+r)*j.labels : (t*rank+r+1)*j.labels]
			square, answers = square+n*numeric.Dot(at, at), answers+n*float64(j.labels)
		}
		if square == 0 {
			continue
		}
		scale := math.Sqrt(answers / square)
		for i := range size {
			x[(1+r)*size+i] *= scale
		}
	}
	return append(x, make([]float64, j.ownSize())...)
}

// orthonormalise changes the columns of a matrix, [n,count], in place; what depends on those before
// it becomes 0.
func orthonormalise(by []float64, count int) {
	n := len(by) / count
	columns := make([][]float64, count)
	for k := range columns {
		column := make([]float64, n)
		for u := range n {
			column[u] = by[u*count+k]
		}
		size := math.Sqrt(numeric.Dot(column, column))
		for range 2 {
			for _, q := range columns[:k] {
				numeric.Add(column, -numeric.Dot(column, q), q)
			}
		}
		rest := math.Sqrt(numeric.Dot(column, column))
		for u := range n {
			if rest <= 1e-9*size {
				column[u] = 0
			} else {
				column[u] /= rest
			}
			by[u*count+k] = column[u]
		}
		columns[k] = column
	}
}

// eigen is numeric.Eigen of a small matrix. Each vector's largest entry is positive.
func eigen(a []float64, n int) (values, vectors []float64) {
	values, vectors = numeric.Eigen(a, n)
	for at := 0; at < len(vectors); at += n {
		row, largest := vectors[at:at+n], 0.0
		for _, x := range row {
			if math.Abs(x) > math.Abs(largest)*(1+1e-9) {
				largest = x
			}
		}
		for i := range row {
			row[i] *= math.Copysign(1, largest)
		}
	}
	return values, vectors
}
