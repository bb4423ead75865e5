package population

import (
	"cmp"
	"context"

	"github.com/xpeft/xpeft/internal/numeric"
)

// joint is the maximum a posteriori problem of a bank and the people who train it:
//
//	Σ_u Σ_i −log softmax(Wφ + a + b_u + Σ_j z_uj (V_j φ + v_j))_c + ½Σ_u(‖z_u‖² + β‖b_u‖²) + ½λ_W‖W‖² + ½λ_V(‖V‖² + 0.01·‖v‖²)
//
// People's z and b are minimized out at every step, each person alone, so that only W and V remain: at a person's minimum the gradient by W and V is that of
// the whole. Rows are W, then V_j, each [C,dim+1] with its bias as the last value.
type joint struct {
	*space
	people     []Answers
	labels     int
	rank       int
	head, axis float64 // λ_W and λ_V
	threads    int
	beta       float64   // β: see solver
	enough     float64   // the same
	first      []int     // of each person, the number of their first answer
	byText     []int32   // numbers of answers, by text
	textAt     []int     // [T+1]: where a text's begin in byText
	owner      []int32   // of each answer
	rows       []float64 // [T,(1+J)·C]
	codes      []float64 // [U,J+C]: z and b
	values     []float64 // [U]
	residual   []float64 // [answers,C]: p − e_c
	sums       []float64 // [T,(1+J)·C]: the gradient by rows
}

// biasShare is the L2 of v in parts of V's.
const biasShare = 0.01

func newJoint(s *space, people []Answers, labels, threads int) *joint {
	j := &joint{space: s, people: people, labels: labels, threads: threads, beta: 1, enough: closely, textAt: make([]int, s.texts+1)}
	total := 0
	for u, a := range people {
		j.first = append(j.first, total)
		total += len(a.Text)
		for _, t := range a.Text {
			j.textAt[t+1]++
			j.owner = append(j.owner, int32(u))
		}
	}
	for t := range s.texts {
		j.textAt[t+1] += j.textAt[t]
	}
	j.byText = make([]int32, total)
	at := append([]int(nil), j.textAt...)
	for u, a := range people {
		for i, t := range a.Text {
			j.byText[at[t]] = int32(j.first[u] + i)
			at[t]++
		}
	}
	j.values, j.residual = make([]float64, len(people)), make([]float64, total*labels)
	return j
}

// as takes a setting, and makes room for its rank.
func (j *joint) as(s Setting) {
	rank, width := s.Rank, (1+s.Rank)*j.labels
	j.head, j.axis, j.beta = s.Head, s.Axis, cmp.Or(s.Bias, 1)
	if rank == j.rank && j.codes != nil {
		return
	}
	j.rank = rank
	j.codes = make([]float64, len(j.people)*(rank+j.labels))
	j.rows, j.sums = make([]float64, j.texts*width), make([]float64, j.texts*width)
}

// objective is the value at W and V, and the gradient.
func (j *joint) objective(x, g []float64) float64 {
	j.project(j.rows, x, j.threads)
	j.solve()
	j.spread()
	j.gather(g, j.sums, j.threads)
	value := 0.0
	for _, v := range j.values {
		value += v
	}
	return value + j.shrink(x, g)
}

// shrink adds the L2 of W and V.
func (j *joint) shrink(x, g []float64) (value float64) {
	width := j.dim + 1
	for r := range len(x) / width {
		lambda, biased := j.head, 0.0
		if r >= j.labels {
			lambda, biased = j.axis, biasShare*j.axis
		}
		w, a := x[r*width:(r+1)*width-1], x[(r+1)*width-1]
		numeric.Add(g[r*width:(r+1)*width-1], lambda, w)
		g[(r+1)*width-1] += biased * a
		value += lambda/2*numeric.Dot(w, w) + biased/2*a*a
	}
	return value
}

// solve finds each person's z and b, and what is left of their answers.
func (j *joint) solve() {
	solvers := make([]*solver, j.threads)
	n := j.rank + j.labels
	parallel(j.threads, len(j.people), 8, func(thread, from, to int) {
		if solvers[thread] == nil {
			solvers[thread] = newSolver(j.rank, j.labels, j.beta)
			solvers[thread].enough = j.enough
		}
		s := solvers[thread]
		for u := from; u < to; u++ {
			a, x := j.people[u], j.codes[u*n:(u+1)*n]
			j.values[u] = s.solve(j.rows, a, x, j.residual[j.first[u]*j.labels:])
		}
	})
}

// spread sums over each text's answers the gradient by its row: the residual, and z times it for each axis.
func (j *joint) spread() {
	C, n, width := j.labels, j.rank+j.labels, (1+j.rank)*j.labels
	parallel(j.threads, j.texts, 32, func(_, from, to int) {
		clear(j.sums[from*width : to*width])
		for t := from; t < to; t++ {
			row := j.sums[t*width : (t+1)*width]
			for _, i := range j.byText[j.textAt[t]:j.textAt[t+1]] {
				r, z := j.residual[int(i)*C:(int(i)+1)*C], j.codes[int(j.owner[i])*n:]
				numeric.Add(row[:C], 1, r)
				for k := range j.rank {
					numeric.Add(row[(1+k)*C:(2+k)*C], z[k], r)
				}
			}
		}
	})
}

// minimize improves x until a step gains less than a share of the value, three times in a row.
func (j *joint) minimize(ctx context.Context, x []float64, steps int, share float64) (float64, error) {
	last, small := 0.0, 0
	m := numeric.Minimizer{MaxSteps: steps, Gradient: 1e-6, Progress: func(value float64) bool {
		if small++; last == 0 || last-value > share*last {
			small = 0
		}
		last = value
		return small < 3
	}}
	return m.Run(ctx, x, j.objective)
}
