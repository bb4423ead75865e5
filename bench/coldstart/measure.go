//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/xpeft/xpeft/internal/eval"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

type options struct {
	model, out                               string
	learners, newcomers, train, test, splits int
	names, starts                            bool
}

// learns are the numbers of examples of a first Learn.
func (o options) learns() []int {
	if o.starts {
		return []int{4, 16, 40}
	}
	return []int{1, 4, 16}
}

// ways is how many of the starts are compared.
func (o options) ways() int {
	if o.starts {
		return 2
	}
	return 3
}

// leastTexts is what a newcomer needs: 16 to learn from and 8 to be asked.
const leastTexts = 24

// cast draws who has learned and who is new, each with shuffled texts. Passes are no opinion.
func cast(o options, d *eval.Data, split int) (learners, newcomers []eval.Person) {
	rng := rand.New(rand.NewPCG(7, uint64(split)))
	var people []eval.Person
	for _, p := range d.People {
		p.Examples = slices.DeleteFunc(slices.Clone(p.Examples), func(e eval.Example) bool { return e.Label == "pass" })
		rng.Shuffle(len(p.Examples), func(i, j int) { p.Examples[i], p.Examples[j] = p.Examples[j], p.Examples[i] })
		people = append(people, p)
	}
	rng.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	for _, p := range people {
		switch n := len(p.Examples); {
		case n >= leastTexts && len(newcomers) < o.newcomers:
			newcomers = append(newcomers, p)
		case n >= 6 && len(learners) < o.learners:
			p.Examples = p.Examples[:min(n, o.train)]
			learners = append(learners, p)
		}
	}
	return learners, newcomers
}

func examples(es []eval.Example) (out []sdk.Example) {
	for _, e := range es {
		out = append(out, sdk.Example{Text: e.Text, Pair: e.Pair, Label: e.Label})
	}
	return out
}

// measure makes a store in which the learners have learned, and serves each newcomer in every way. Newcomers are private, so that none of their profiles
// is part of what the others start from.
func measure(o options, name string, d *eval.Data, split int) (rows []row, err error) {
	ctx := context.Background()
	learners, newcomers := cast(o, d, split)
	dir, err := os.MkdirTemp("", "coldstart-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c := sdk.Config{Model: o.model, MaxTokens: 64, Options: &sdk.Options{Private: []string{"new/"}}}
	for _, l := range d.Labels {
		if l != "pass" {
			c.Labels = append(c.Labels, l)
		}
	}
	p, err := sdk.Create(dir+"/store", c)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := teach(ctx, p, learners, !o.names); err != nil {
		return nil, err
	}
	log.Printf("%s, split %d: %d have learned, %d are new", name, split, len(learners), len(newcomers))
	for i, who := range newcomers {
		n := min(40, len(who.Examples)-8) // at least 16
		train, test := who.Examples[:n], who.Examples[n:min(len(who.Examples), n+o.test)]
		t := &trial{p: p, id: fmt.Sprintf("new/%d", i), train: examples(train), test: examples(test)}
		if !o.starts {
			t.unlearned(ctx)
		}
		for _, n := range o.learns() {
			for _, start := range []sdk.Start{sdk.StartFresh, sdk.StartPopulation, sdk.StartNearest}[:o.ways()] {
				t.learned(ctx, n, start)
			}
		}
		if t.err != nil {
			return nil, fmt.Errorf("%s: %w", who.ID, t.err)
		}
		for _, r := range t.rows {
			r.Data, r.Person, r.Split = name, who.ID, split
			rows = append(rows, r)
		}
		if i%8 == 7 {
			log.Printf("%s, split %d: %d newcomers", name, split, i+1)
		}
	}
	return rows, nil
}

// teach makes the shared head of the learners' examples, and then their profiles under it.
func teach(ctx context.Context, p *sdk.SDK, learners []eval.Person, head bool) error {
	learn := func(prefix string, o *sdk.LearnOptions) error {
		var rs []sdk.LearnRequest
		for _, who := range learners {
			rs = append(rs, sdk.LearnRequest{Profile: prefix + who.ID, Examples: examples(who.Examples)})
		}
		out, err := p.LearnMany(ctx, rs, o)
		for _, r := range out {
			if err == nil {
				err = r.Err
			}
		}
		return err
	}
	if head {
		quick := learner.Default()
		quick.Epochs, quick.K, quick.Top = 1, 50, 1
		if err := learn("head/", &sdk.LearnOptions{Config: &quick}); err != nil {
			return err
		}
		rep, err := p.TrainHead(ctx, &sdk.TrainHeadOptions{Force: true})
		if err != nil {
			return err
		}
		log.Printf("head: %d examples, accuracy %.3f, before %.3f", rep.Examples, rep.After.Accuracy, rep.Before.Accuracy)
		for _, who := range learners {
			if err := p.Forget(ctx, "head/"+who.ID); err != nil {
				return err
			}
		}
	}
	return learn("", nil)
}

// trial serves one newcomer; the first error stays.
type trial struct {
	p           *sdk.SDK
	id          string
	train, test []sdk.Example
	rows        []row
	err         error
}

// ask answers the test texts in one way.
func (t *trial) ask(ctx context.Context, arm string, f sdk.Fallback, want sdk.Source, seconds float64) {
	if t.err != nil {
		return
	}
	r, err := answers(ctx, t.p, t.id, f, want, t.test)
	r.Arm, r.Seconds, t.err = arm, seconds, err
	t.rows = append(t.rows, r)
}

// unlearned asks before anything was learned: of nobody, and of one who was observed.
func (t *trial) unlearned(ctx context.Context) {
	t.ask(ctx, "0 base", sdk.FallbackBase, sdk.SourceBase, 0)
	t.ask(ctx, "0 population", sdk.FallbackPopulation, sdk.SourcePopulation, 0)
	for i, e := range t.train[:3] { // from four on it would learn
		if t.err == nil {
			t.err = t.p.Observe(ctx, t.id, e)
		}
		if i == 1 {
			continue
		}
		t.ask(ctx, fmt.Sprint(i+1, " observed"), sdk.FallbackError, sdk.SourceProfile, 0)
		t.ask(ctx, fmt.Sprint(i+1, " observed population"), sdk.FallbackPopulation, sdk.SourcePopulation, 0)
		t.ask(ctx, fmt.Sprint(i+1, " observed nearest"), sdk.FallbackNearest, "", 0) // the population where no label is shared
	}
}

// learned asks after a first Learn of n examples that began in one way.
func (t *trial) learned(ctx context.Context, n int, start sdk.Start) {
	if t.err != nil {
		return
	}
	if err := t.p.Forget(ctx, t.id); err != nil && !errors.Is(err, sdk.ErrProfileNotFound) {
		t.err = err
		return
	}
	rep, err := t.p.Learn(ctx, t.id, t.train[:min(n, len(t.train))], &sdk.LearnOptions{Start: start})
	if t.err = err; err == nil {
		t.ask(ctx, fmt.Sprint(n, " learned ", start), sdk.FallbackError, sdk.SourceProfile, rep.Took.Seconds())
	}
}

// answers scores one profile on the texts; want is what has to answer, if that is fixed.
func answers(ctx context.Context, p *sdk.SDK, id string, f sdk.Fallback, want sdk.Source, test []sdk.Example) (r row, err error) {
	reqs := make([]sdk.Request, len(test))
	for i, e := range test {
		reqs[i] = sdk.Request{Profile: id, Text: e.Text, Pair: e.Pair, Fallback: f}
	}
	out, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		return r, err
	}
	for i, a := range out {
		if a.Err != nil {
			return r, a.Err
		}
		if want != "" && a.Source != want {
			return r, fmt.Errorf("%s with %q was answered by %q", id, f, a.Source)
		}
		if a.Label == test[i].Label {
			r.Right += 1 / float64(len(test))
		}
		for _, x := range a.Probabilities {
			if x.Label == test[i].Label {
				r.Loss -= math.Log(max(float64(x.P), 1e-6)) / float64(len(test))
			}
		}
	}
	return r, nil
}
