package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/research/eval"
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
	e := &eval.Evaluation{Data: data, Machine: m, Out: o.out, Modes: modes, Splits: o.splits, Seeds: o.seeds, Shots: o.shots, Most: o.most, New: o.people,
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
			return nil, usagef("no mode %q; there are %s", n, joinNames(all, func(m eval.Mode) string { return m.Name }))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// evaluateTasks runs what is missing and prints the table.
func (a *app) evaluateTasks(ctx context.Context, o taskFlags) (err error) {
	e := &eval.TaskEvaluation{Modes: eval.Table2(o.k, o.sizes...), Out: o.out, Rows: o.rows, Epochs: o.epochs, Seeds: o.seeds,
		Log: func(line string) { fmt.Fprintln(a.stderr, line) }}
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
	e := &eval.Alone{Splits: o.splits, Shots: o.shots, Most: o.most, NoOwn: o.noOwn, Log: func(line string) { fmt.Fprintln(a.stderr, line) }}
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
	e := &eval.People{Splits: o.splits, First: o.first, Shots: o.shots, Most: o.most, NewTexts: o.newTexts, Asked: o.asked, Some: o.some, Brief: o.brief, Permuted: o.permuted, Options: o.options(),
		Log: func(line string) { fmt.Fprintln(a.stderr, line) }}
	if e.Data, err = eval.ReadAnswered(o.cache); err != nil {
		if e.Data, err = readAnswered(ctx, o); err != nil {
			return err
		}
	}
	rows, banks, err := e.Run(ctx)
	if err != nil {
		return err
	}
	return a.reportPeople(rows, banks)
}

// readAnswered embeds the texts, and keeps them if a file is named.
func readAnswered(ctx context.Context, o peopleFlags) (d *eval.Answered, err error) {
	data, err := eval.ReadData(o.data, o.fields, eval.SplitPeople)
	if err != nil {
		return nil, err
	}
	m, err := eval.OpenMachine(o.model, o.maxTokens)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if d, err = m.Answered(ctx, data, o.least, o.drop, o.taps); err == nil && o.cache != "" {
		err = d.Write(o.cache)
	}
	return d, err
}
