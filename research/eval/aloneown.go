package eval

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/model"
)

// aloneStrengths are the L2 of own heads. The best on the test texts themselves is reported: no
// rival could choose better.
var aloneStrengths = []float64{0.003, 0.01, 0.03, 0.1, 0.3, 1, 3}

// aloneAlpha is the label prior's strength.
const aloneAlpha = 3

// beside serves the parts by all ways but the SDK's.
func (w *aloneWorld) beside(ctx context.Context, t *tally, parts []*Part, own bool) error {
	return each(len(parts), runtime.GOMAXPROCS(0), func(i int) error {
		p, f := parts[i], w.features
		t.mark(priorAlone, i, p, predict(f.head, f.head.Prior(p.Counts, aloneAlpha), f.rows(i, p.test, false)))
		got, err := f.always(ctx, i, p)
		if err != nil {
			return err
		}
		t.mark(codeAlone, i, p, got)
		if !own {
			return nil
		}
		for _, way := range []string{ownLast, ownFeatures} {
			for _, started := range []bool{false, true} {
				for _, lambda := range aloneStrengths {
					got, err := f.ownHead(ctx, i, p, way == ownLast, started, lambda)
					if err != nil {
						return err
					}
					start := "zero"
					if started {
						start = "the names"
					}
					t.mark(fmt.Sprintf("%s, L2 %g from %s", way, lambda, start), i, p, got)
				}
			}
		}
		return nil
	})
}

// always learns digits as the SDK does, but for the choice of the prior instead, and answers the
// test texts.
func (f *features) always(ctx context.Context, person int, p *Part) ([]int, error) {
	prior := func(counts []uint32) []float32 { return f.head.Prior(counts, aloneAlpha) }
	who := &digits.Person{A: f.axes.Count(), C: len(f.head.Labels), Digits: f.axes.Digits, Prior: prior}
	for i, e := range p.Train {
		x := f.rows(person, p.train[i:i+1], false)
		who.P, who.Base, who.Class = f.axes.Project(who.P, x), f.head.Logits(who.Base, x), append(who.Class, e.Class)
	}
	r, err := digits.Learn(ctx, who, &digits.Options{Always: true})
	if err != nil {
		return nil, err
	}
	h, offset, size := f.head.Clone(), prior(p.Counts), len(r.Rows)/max(1, len(r.Labels))
	for i, label := range r.Labels {
		f.axes.AddRow(h.W[int(label)*h.Hidden:], r.Rows[i*size:(i+1)*size], float32(digits.Scale(r.Scales[i])))
	}
	return predict(h, plus(offset, r.Bias), f.rows(person, p.test, false)), nil
}

// ownHead fits a head of the labels that the person used, from zero or from the shared head, and
// answers the test texts.
func (f *features) ownHead(ctx context.Context, person int, p *Part, last, started bool, lambda float64) ([]int,
	error) {
	x := f.rows(person, p.train, last)
	h := &digits.Head{X: x, D: len(x) / len(p.train)}
	var used []int // the head's label of each row
	for c, n := range p.Counts {
		if n > 0 {
			used = append(used, c)
			if row := f.head.W[c*f.head.Hidden : (c+1)*f.head.Hidden]; started {
				h.W0 = append(h.W0, row[len(row)-h.D:]...)
			}
		}
	}
	if len(used) == 1 { // nothing to tell apart
		return slices.Repeat(used, len(p.test)), nil
	}
	for _, e := range p.Train {
		h.Class = append(h.Class, slices.Index(used, e.Class))
	}
	h.C = len(used)
	r, err := digits.FitHead(ctx, h, &digits.HeadOptions{Lambda: lambda, Threads: 1})
	if err != nil {
		return nil, err
	}
	own := &model.Head{Labels: make([]string, h.C), Hidden: h.D, W: r.W, B: r.Bias}
	out := predict(own, nil, f.rows(person, p.test, last))
	for i, c := range out {
		out[i] = used[c]
	}
	return out, nil
}
