package population

import (
	"context"

	"github.com/xpeft/xpeft/internal/numeric"
)

// joint is the maximum a posteriori problem of a bank and the people who train it:
//
//	Σ_u Σ_i −log softmax(Wφ + a + b_u + Σ_j z_uj (V_j φ + v_j))_c
//	+ ½Σ_u(‖z_u‖² + ‖b_u‖²) + ½λ_W‖W‖² + ½λ_V(‖V‖² + 0.01·‖v‖²)
//
// With a setting that says so, a text that several people labelled has a part of its own beside Wφ
// + a and each V_j φ + v_j, with Text·λ_W and Text·λ_V as its L2.
//
// People's z and b are minimized out at every step, each person alone, so that only W and V remain:
// at a person's minimum the gradient by W and V is that of the whole. Rows are W, then V_j, each
// [C,dim+1] with its bias as the last value; the known texts' own parts come after them,
// [K,(1+J)·C].
type joint struct {
	*space
	people     []Answers
	labels     int
	rank       int
	head, axis float64 // λ_W and λ_V
	text       float64 // L2 of own parts, in parts of those; 0: there are none
	known      []int32 // the texts that may have them
	threads    int
	enough     float64   // see solver
	taught     []byte    // of key: a digest of people; nil: not needed yet
	first      []int     // of each person, the number of their first answer
	byText     []int32   // numbers of answers, by text
	textAt     []int     // [T+1]: where a text's begin in byText
	owner      []int32   // of each answer
	rows       []float64 // [T,(1+J)·C]
	codes      []float64 // [U,J+C]: z and b
	values     []float64 // [U]
	residual   []float32 // [answers,C]: p − e_c; there may be millions
	sums       []float64 // [T,(1+J)·C]: the gradient by rows
}

// biasShare is the L2 of v in parts of V's.
const biasShare = 0.01

func newJoint(s *space, people []Answers, labels, threads int) *joint {
	j := &joint{space: s, people: people, labels: labels, threads: threads, enough: closely,
		textAt: make([]int, s.texts+1)}
	total := 0
	for _, a := range people {
		j.first = append(j.first, total)
		total += len(a.Text)
	}
	j.owner = make([]int32, 0, total)
	for u, a := range people {
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
	j.findKnown()
	j.values, j.residual = make([]float64, len(people)), make([]float32, total*labels)
	return j
}

// FewestAnswers is how many people must have labelled a text that has a part of its own: one or two
// say more of themselves than of it.
const FewestAnswers = 3

// findKnown lists the texts that enough people labelled.
func (j *joint) findKnown() {
	for t := range j.texts {
		people, last := 0, int32(-1)
		for _, i := range j.byText[j.textAt[t]:j.textAt[t+1]] { // in the order of people
			if j.owner[i] != last {
				people, last = people+1, j.owner[i]
			}
		}
		if people >= FewestAnswers {
			j.known = append(j.known, int32(t))
		}
	}
}

// as takes a setting, and makes room for its rank.
func (j *joint) as(s Setting) {
	rank, width := s.Rank, (1+s.Rank)*j.labels
	j.head, j.axis, j.text = s.Head, s.Axis, s.Text
	if rank == j.rank && j.codes != nil {
		return
	}
	j.rank = rank
	j.codes = make([]float64, len(j.people)*(rank+j.labels))
	j.rows, j.sums = make([]float64, j.texts*width), make([]float64, j.texts*width)
}

// objective is the value at W and V, and the gradient.
func (j *joint) objective(x, g []float64) float64 {
	j.fill(x)
	j.solve()
	j.spread()
	w, own := j.parts(g)
	j.gather(w, j.sums, j.threads)
	width := (1 + j.rank) * j.labels
	for k := range len(own) / width {
		copy(own[k*width:(k+1)*width], j.sums[int(j.known[k])*width:])
	}
	value := 0.0
	for _, v := range j.values {
		value += v
	}
	return value + j.shrink(x, g)
}

// parts are W and V, and the known texts' own parts.
func (j *joint) parts(x []float64) (w, own []float64) {
	size := (1 + j.rank) * j.labels * (j.dim + 1)
	return x[:size], x[size:]
}

// ownSize is how many values the known texts' own parts have.
func (j *joint) ownSize() int {
	if j.text == 0 {
		return 0
	}
	return len(j.known) * (1 + j.rank) * j.labels
}

// fill makes the texts' rows.
func (j *joint) fill(x []float64) {
	w, own := j.parts(x)
	j.project(j.rows, w, j.threads)
	width := (1 + j.rank) * j.labels
	for k := range len(own) / width {
		numeric.Add(j.rows[int(j.known[k])*width:][:width], 1, own[k*width:(k+1)*width])
	}
}

// shrink adds the L2 of W, V and own parts.
func (j *joint) shrink(x, g []float64) (value float64) {
	add := func(lambda float64, from, to int) {
		numeric.Add(g[from:to], lambda, x[from:to])
		value += lambda / 2 * numeric.Dot(x[from:to], x[from:to])
	}
	w, own := j.parts(x)
	width := j.dim + 1
	for r := range len(w) / width {
		at, end := r*width, (r+1)*width
		if r < j.labels {
			add(j.head, at, end-1)
		} else {
			add(j.axis, at, end-1)
			add(biasShare*j.axis, end-1, end)
		}
	}
	width = (1 + j.rank) * j.labels
	for k := range len(own) / width {
		at := len(w) + k*width
		add(j.text*j.head, at, at+j.labels)
		add(j.text*j.axis, at+j.labels, at+width)
	}
	return value
}

// solve finds each person's z and b, and what is left of their answers.
func (j *joint) solve() {
	solvers := make([]*solver, j.threads)
	n := j.rank + j.labels
	numeric.Parallel(j.threads, len(j.people), 8, func(thread, from, to int) {
		if solvers[thread] == nil {
			solvers[thread] = newSolver(j.rank, j.labels, 1)
			solvers[thread].enough = j.enough
		}
		s := solvers[thread]
		for u := from; u < to; u++ {
			a, x := j.people[u], j.codes[u*n:(u+1)*n]
			j.values[u] = s.solve(j.rows, a, x, j.residual[j.first[u]*j.labels:])
		}
	})
}

// spread sums over each text's answers the gradient by its row: the residual, and z times it for
// each axis.
func (j *joint) spread() {
	C, n, width := j.labels, j.rank+j.labels, (1+j.rank)*j.labels
	numeric.Parallel(j.threads, j.texts, 32, func(_, from, to int) {
		clear(j.sums[from*width : to*width])
		for t := from; t < to; t++ {
			row := j.sums[t*width : (t+1)*width]
			for _, i := range j.byText[j.textAt[t]:j.textAt[t+1]] {
				r, z := j.residual[int(i)*C:(int(i)+1)*C], j.codes[int(j.owner[i])*n:]
				addNarrow(row[:C], 1, r)
				for k := range j.rank {
					addNarrow(row[(1+k)*C:(2+k)*C], z[k], r)
				}
			}
		}
	})
}

// minimize improves x until a step gains less than a share of the value, three times in a row. step
// is called after each; nil: not at all.
func (j *joint) minimize(ctx context.Context, x []float64, steps int, share float64, step func()) error {
	last, small := 0.0, 0
	m := numeric.Minimizer{MaxSteps: steps, Gradient: 1e-6, Progress: func(value float64) bool {
		if step != nil {
			step()
		}
		if small++; last == 0 || last-value > share*last {
			small = 0
		}
		last = value
		return small < 3
	}}
	_, err := m.Run(ctx, x, j.objective)
	return err
}

// addNarrow is numeric.Add of what is kept in float32.
func addNarrow(to []float64, by float64, x []float32) {
	for i, v := range x {
		to[i] += by * float64(v)
	}
}

func dotNarrow(x []float32, y []float64) (sum float64) {
	for i, v := range x {
		sum += float64(v) * y[i]
	}
	return sum
}
