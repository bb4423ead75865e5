package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// learn learns profile after profile. One that fails does not stop the others; a signal does.
func (a *app) learn(ctx context.Context, f learnFlags, groups []*group) (err error) {
	p, err := a.open(ctx, f.engineFlags, false)
	if err != nil {
		return err
	}
	defer func() {
		if closed := p.Close(); err == nil {
			err = closed
		}
	}()
	var failed rowErrors
	for _, g := range groups {
		rep, err := a.learnOne(ctx, p, f, g)
		if cause := context.Cause(ctx); cause != nil && err != nil {
			return cause
		}
		if err != nil && len(groups) == 1 {
			return err
		}
		if err != nil {
			failed.add(err)
			a.printFailed(g.profile, err)
			continue
		}
		if err := a.printLearned(rep, f.losses); err != nil {
			return err
		}
		if err := a.stdout.Flush(); err != nil {
			return err
		}
	}
	return failed.err()
}

func (a *app) learnOne(ctx context.Context, p *sdk.Folder, f learnFlags, g *group) (*sdk.Report, error) {
	progress := a.newBar(-1, g.profile)
	defer progress.done()
	o := &sdk.LearnOptions{
		Head: sdk.HeadKind(f.head), Labels: f.labels, AddLabels: f.addLabels, DropExamples: f.drop, Force: f.force,
		Effort:   learner.Effort(f.effort),
		Progress: func(step, steps int, loss float32) { progress.step(step, steps, loss) },
	}
	var err error
	if o.ClassWeights, err = byLabel("class-weights", f.weights); err != nil {
		return nil, err
	}
	if g.numbers && o.Head == "" {
		o.Head = sdk.NumberHead
	}
	if f.epochs != 0 || f.seed != 0 {
		c, _ := learner.Default().With(o.Effort) // the sdk refuses a bad one
		c.Seed = f.seed
		if f.epochs != 0 {
			c.Epochs = f.epochs
		}
		c.K = 0 // the folder's
		o.Config = &c
	}
	examples := make([]sdk.Example, len(g.lines))
	for i, l := range g.lines {
		examples[i] = l.example()
	}
	return p.Learn(ctx, g.profile, examples, o)
}

// example is a line as the sdk takes it.
func (l line) example() sdk.Example {
	e := sdk.Example{Text: l.Text, Pair: l.Pair, Label: l.Label, Labels: l.Labels, Value: l.Value, Rejected: l.Rejected}
	if l.Weight != nil {
		e.Weight = *l.Weight
	}
	return e
}

// byLabel reads label=number of each value of a flag.
func byLabel(flag string, values []string) (map[string]float64, error) {
	out := make(map[string]float64, len(values))
	for _, given := range values {
		at := strings.LastIndexByte(given, '=')
		v, err := strconv.ParseFloat(given[at+1:], 64)
		if at < 0 || err != nil {
			return nil, usagef("--%s: %q is no label=number", flag, given)
		}
		out[given[:at]] = v
	}
	return out, nil
}
