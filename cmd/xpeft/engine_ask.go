package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

func (a *app) ask(ctx context.Context, o askFlags, texts, skipped []string) (err error) {
	p, err := a.open(ctx, o.engineFlags, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	questions, err := p.Ask(ctx, o.profile, &sdk.AskOptions{Candidates: texts, N: o.questions, Skipped: skipped})
	if err != nil {
		return err
	}
	for _, q := range questions {
		row := askedRow{o.profile, q}
		if err := a.print(row, row.text); err != nil {
			return err
		}
	}
	return nil
}

// advised is what training a bank would do now.
type advised struct{ sdk.Advice }

func (r advised) text(w io.Writer) {
	people := r.Population
	fields(w, "advice", r.Reason, "people",
		fmt.Sprintf("%d, with %d answers to %d texts", people.People, people.Answers, people.Texts))
	gains(w, people)
	if h := r.Head; h != nil {
		fields(w, "head", h.Reason)
		if h.High != h.Low {
			fields(w, "  gain", fmt.Sprintf("%.3f in log-loss, %.3f to %.3f", h.Gain, h.Low, h.High))
		}
	}
	fields(w, "seconds", fmt.Sprintf("%.1f", r.Seconds))
}

// gains prints what held-out people gain.
func gains(w io.Writer, r *sdk.PopulationReport) {
	if len(r.ByExamples) == 0 {
		return
	}
	fields(w, "gain", fmt.Sprintf("%.3f in log-loss, %.3f to %.3f", r.Gain, r.Low, r.High))
	for _, g := range r.ByExamples {
		n := "all examples"
		if g.Examples > 0 {
			n = count(g.Examples, "example")
		}
		fields(w, "  "+n, fmt.Sprintf("%.3f without, %.3f with", g.Before, g.After))
	}
}

func (a *app) bankAdvise(ctx context.Context, o engineFlags) (err error) {
	p, err := a.open(ctx, o, true)
	if err != nil {
		return err
	}
	bar := a.newBar(-1, "advice")
	defer bar.done()
	advice, err := p.Advise(ctx, &sdk.TrainBankOptions{Progress: bar.step})
	if err = errors.Join(err, p.Close()); err != nil {
		return err
	}
	bar.done()
	if err := a.withStore(false, func(st *store.Store) error {
		return folder.KeepAdvice(ctx, st,
			folder.Advice(advice.Last()))
	}); err != nil {
		fmt.Fprintf(a.stderr, "xpeft: stats will not show this: %v\n", err) // another process may have the folder
	}
	row := advised{*advice}
	return a.print(row, row.text)
}
