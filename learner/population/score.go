package population

import "math"

// fitBias and countPrior are two ways of answering for a held-out person.
func fitBias(f *fold, s *solver, a Answers, x []float64) { s.solve(f.joint.rows, a, x, nil) }

// alpha is the strength of the label prior.
const alpha = 3

// countPrior puts into b what a person's label counts say, as model.Head.Prior does.
func countPrior(f *fold, _ *solver, a Answers, x []float64) {
	n, m, C := float64(len(a.Class)), 0.0, float64(len(x))
	own := make([]float64, len(x))
	for _, c := range a.Class {
		own[c]++
	}
	for _, v := range f.counts {
		m += v
	}
	for c := range x {
		q := (f.counts[c] + 1) / (m + C)
		x[c] = math.Log((own[c]+alpha*q)/(n+alpha)) - math.Log(q)
	}
}

// score adds the losses of a fold's held-out people, whose texts' rows are those of the fold's joint.
func (c *chooser) score(t *Trial, f *fold, fit func(*fold, *solver, Answers, []float64)) {
	j, shots := f.joint, c.options.Shots
	losses := make([]float64, len(f.held)*len(shots))
	parallel(c.options.Threads, len(f.held), 4, func(_, from, to int) {
		s, x := newSolver(j.rank, j.labels), make([]float64, j.rank+j.labels)
		for u := from; u < to; u++ {
			for _, h := range f.held[u] {
				for k, n := range shots {
					some := h.fit
					if n > 0 && n < len(some.Text) {
						some = Answers{some.Text[:n], some.Class[:n]}
					}
					clear(x)
					fit(f, s, some, x)
					losses[u*len(shots)+k] += s.loss(j.rows, h.test, x) / float64(len(f.held[u]))
				}
			}
		}
	})
	if t.Loss == nil {
		t.Loss, t.shots = make([]float64, len(shots)), make([][]float64, len(shots))
	}
	for u := range f.held {
		sum := 0.0
		for k := range shots {
			t.Loss[k] += losses[u*len(shots)+k]
			t.shots[k] = append(t.shots[k], losses[u*len(shots)+k])
			sum += losses[u*len(shots)+k] / float64(len(shots))
		}
		t.people = append(t.people, sum)
	}
}

// close turns sums over people into means.
func (c *chooser) close(t *Trial) {
	for k := range t.Loss {
		t.Loss[k] /= max(1, float64(len(t.people)))
	}
}

// loss is the mean log-loss of some answers.
func (s *solver) loss(rows []float64, a Answers, x []float64) (sum float64) {
	for i, t := range a.Text {
		p := s.answer(s.row(rows, t), x)
		z := p[a.Class[i]]
		sum += (softmax(p) - z) / float64(len(a.Text))
	}
	return sum
}
