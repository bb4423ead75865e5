package population

import (
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// fitBias and countPrior are two ways of answering for a held-out person.
func fitBias(f *fold, s *solver, a Answers, x []float64) { s.solve(f.joint.rows, a, x, nil) }

// alpha is the strength of the label prior.
const alpha = 3

// countPrior puts into b what a person's label counts say.
func countPrior(f *fold, _ *solver, a Answers, x []float64) {
	own := make([]uint32, len(x))
	for _, c := range a.Class {
		own[c]++
	}
	prior(x, own, f.counts)
}

// prior is what label counts add to the logits of a head that was trained on all, as
// model.Head.Prior.
func prior(out []float64, own, all []uint32) {
	n, m := 0.0, 0.0
	for c := range own {
		n, m = n+float64(own[c]), m+float64(all[c])
	}
	for c := range own {
		q := (float64(all[c]) + 1) / (m + float64(len(out)))
		out[c] = math.Log((float64(own[c])+alpha*q)/(n+alpha)) - math.Log(q)
	}
}

// score adds the losses of a fold's held-out people, whose texts' rows are those of the fold's
// joint.
func (c *chooser) score(t *Trial, f *fold, fit func(*fold, *solver, Answers, []float64)) {
	j, shots := f.joint, c.options.Shots
	all := make([][][]float64, len(f.held)) // of each person, by shots and then division, each answer's
	numeric.Parallel(c.options.Threads, len(f.held), 4, func(_, from, to int) {
		s, x := newSolver(j.rank, j.labels, t.Bias), make([]float64, j.rank+j.labels)
		s.enough = j.enough
		for u := from; u < to; u++ {
			for _, n := range shots {
				for _, h := range f.held[u] {
					some := h.fit
					if n > 0 && n < len(some.Text) {
						some = Answers{some.Text[:n], some.Class[:n]}
					}
					clear(x)
					fit(f, s, some, x)
					all[u] = append(all[u], s.losses(j.rows, h.test, x))
				}
			}
		}
	})
	if t.shots == nil {
		t.shots = make([]losses, len(shots))
	}
	for k := range shots {
		c.collect(&t.shots[k], f, func(u, division int) []float64 { return all[u][k*len(f.held[u])+division] })
	}
}

// collect adds the losses of a fold's people with one number of answers.
func (c *chooser) collect(to *losses, f *fold, of func(u, division int) []float64) {
	if c.options.NewTexts && to.texts == nil {
		to.texts, to.weight = make([]float64, c.space.texts), make([]float64, c.space.texts)
	}
	for u, divisions := range f.held {
		sum := 0.0
		for k, h := range divisions {
			loss := of(u, k)
			for _, v := range loss {
				sum += v / float64(len(loss)*len(divisions))
			}
			if to.texts != nil {
				to.add(h.test, loss, len(divisions))
			}
		}
		to.people = append(to.people, sum)
	}
}

// close makes one value a person, and the means.
func (c *chooser) close(t *Trial) {
	var who []int
	for _, f := range c.folds {
		who = append(who, f.who...)
	}
	share := 1 / float64(len(t.shots))
	for k := range t.shots {
		s := &t.shots[k]
		s.people = average(s.people, who, len(c.People))
		if k == 0 {
			t.all = losses{make([]float64, len(s.people)), make([]float64, len(s.texts)), s.weight}
		}
		numeric.Add(t.all.people, share, s.people)
		numeric.Add(t.all.texts, share, s.texts)
		t.Loss = append(t.Loss, s.mean())
	}
}

// losses are the log-losses of some answers.
func (s *solver) losses(rows []float64, a Answers, x []float64) []float64 {
	out := make([]float64, len(a.Text))
	for i, t := range a.Text {
		p := s.answer(s.row(rows, t), x)
		z := p[a.Class[i]]
		out[i] = softmax(p) - z
	}
	return out
}
