package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/research/eval"
	"github.com/xpeft/xpeft/sdk"
)

// evaluate runs what is missing and prints the table.
func (a *app) evaluate(ctx context.Context, o evalFlags) (err error) {
	modes, err := pickModes(o.modes)
	if err != nil {
		return err
	}
	data, err := eval.ReadData(o.data, o.fields, eval.SplitPeople)
	if err != nil {
		return err
	}
	m, err := eval.OpenMachine(o.model, o.maxTokens)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	e := &eval.Evaluation{Data: data, Machine: m, Out: o.out, Modes: modes, Splits: o.splits, Seeds: o.seeds,
		Shots: o.shots, Most: o.most, New: o.people,
		Log: func(line string) { fmt.Fprintln(a.stderr, line) }}
	defer e.Close()
	if err := e.Run(ctx); err != nil {
		return err
	}
	return a.report([]string{o.out}, o.reference)
}

func pickModes(names []string) ([]eval.Mode, error) {
	all := eval.Modes()
	if slices.Equal(names, []string{"all"}) {
		return all, nil
	}
	var out []eval.Mode
	for _, n := range names {
		i := slices.IndexFunc(all, func(m eval.Mode) bool { return m.Name == n })
		if i < 0 {
			return nil, usagef("no mode %q; there are %s", n,
				joinNames(all, func(m eval.Mode) string { return m.Name }))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// evaluateTasks runs what is missing and prints the table.
func (a *app) evaluateTasks(ctx context.Context, o taskFlags) (err error) {
	e := &eval.TaskEvaluation{Modes: eval.Table2(o.k, o.sizes...), Out: o.out, Rows: o.rows, Epochs: o.epochs,
		Seeds: o.seeds,
		Log:   func(line string) { fmt.Fprintln(a.stderr, line) }}
	if o.oneMask {
		for _, m := range e.Modes {
			if m.N > 0 && !m.Soft {
				m.OneMask = true
				e.Modes = append(e.Modes, m)
			}
		}
	}
	for _, dir := range o.dirs {
		t, err := eval.ReadTask(dir)
		if err != nil {
			return err
		}
		e.Tasks = append(e.Tasks, t)
	}
	if e.Machine, err = eval.OpenMachine(o.model, o.maxTokens); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Machine.Close()) }()
	if err := e.Run(ctx); err != nil {
		return err
	}
	runs, err := eval.ReadRuns(o.out)
	if err != nil {
		return err
	}
	return a.reportTasks(runs)
}

// evaluateAlone measures people without a population and prints the table.
func (a *app) evaluateAlone(ctx context.Context, o aloneFlags) (err error) {
	e := &eval.Alone{Splits: o.splits, Shots: o.shots, Most: o.most, NoOwn: o.noOwn,
		Learn: sdk.LearnOptions{Head: sdk.HeadKind(o.head)},
		Log:   func(line string) { fmt.Fprintln(a.stderr, line) }}
	if o.masks {
		c := learner.Default()
		e.Learn.Config = &c
	}
	if e.Data, err = eval.ReadData(o.data, o.fields, 1); err != nil {
		return err
	}
	if o.unseen != "" {
		if e.Unseen, err = eval.ReadUnseen(o.unseen); err != nil {
			return err
		}
	}
	if e.Machine, err = eval.OpenMachine(o.model, o.maxTokens); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Machine.Close()) }()
	rows, err := e.Run(ctx)
	if err != nil {
		return err
	}
	return a.reportAlone(rows)
}

// evaluatePeople measures a population's axes and prints the table.
func (a *app) evaluatePeople(ctx context.Context, o peopleFlags) (err error) {
	e := &eval.People{Splits: o.splits, First: o.first, Shots: o.shots, Most: o.most, NewTexts: o.newTexts,
		Asked: o.asked, Some: o.some, Brief: o.brief, Permuted: o.permuted, More: o.more, Options: o.options(),
		Log: func(line string) { fmt.Fprintln(a.stderr, line) }}
	if cached, err := eval.ReadAnswered(o.cache); err == nil {
		e.Data = cached
	}
	if e.Data == nil || o.adapter {
		m, err := eval.OpenMachine(o.model, o.maxTokens)
		if err != nil {
			return err
		}
		defer func() { _ = m.Close() }()
		if err := o.embed(ctx, e, m); err != nil {
			return err
		}
	}
	if o.places != "" {
		return o.writePlaces(ctx, e)
	}
	rows, banks, err := e.Run(ctx)
	if err != nil {
		return err
	}
	return a.reportPeople(rows, banks)
}

// embed embeds the texts, and keeps their features if a file is named.
func (o *peopleFlags) embed(ctx context.Context, e *eval.People, m *eval.Machine) error {
	data, err := eval.ReadData(o.data, o.fields, eval.SplitPeople)
	if err == nil && e.Data == nil {
		if e.Data, err = m.Answered(ctx, data, o.least, o.drop, o.taps); err == nil && o.cache != "" {
			err = e.Data.Write(o.cache)
		}
	}
	if err == nil && o.adapter {
		e.Stems, err = m.Stems(ctx, data, o.least, o.drop)
	}
	return err
}

func (o *peopleFlags) writePlaces(ctx context.Context, e *eval.People) error {
	data, err := eval.ReadData(o.data, o.fields, eval.SplitPeople)
	if err != nil {
		return err
	}
	p, err := e.Places(ctx, eval.AnsweredTexts(data, o.least, o.drop))
	if err != nil {
		return err
	}
	out, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(o.places, out, 0o600)
}
