package main

import (
	"context"
	"errors"
	"io"

	"github.com/xpeft/xpeft/sdk"
)

func (a *app) rank(ctx context.Context, f rankFlags, candidates []string) (err error) {
	p, err := a.open(ctx, f.engineFlags, f.chosen == "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if f.chosen != "" {
		if err := p.Chose(ctx, f.profile, f.text, candidates, f.chosen); err != nil {
			return err
		}
		if err := p.Drain(ctx); err != nil {
			return err
		}
	}
	o := &sdk.RankOptions{Base: f.profile == ""}
	if f.fallback != "error" {
		o.Fallback = sdk.Fallback(f.fallback)
	}
	r, err := p.Rank(ctx, f.profile, f.text, candidates, o)
	if err != nil {
		return err
	}
	for _, c := range r.Ranked {
		row := rankedRow{r.Profile, c, string(r.Source), r.Revision}
		if err := a.print(row, row.text); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) headRank(ctx context.Context, f engineFlags, force bool) (err error) {
	p, err := a.open(ctx, f, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	rep, err := p.TrainRank(ctx, &sdk.TrainRankOptions{Force: force})
	if err != nil {
		return err
	}
	return a.print(*rep, func(w io.Writer) { writeOrdered(w, *rep) })
}

func (a *app) embed(ctx context.Context, f engineFlags, texts []string) (err error) {
	p, err := a.open(ctx, f, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	out, err := p.Embed(ctx, texts)
	if err != nil {
		return err
	}
	for i, x := range out {
		row := embeddedRow{texts[i], x}
		if err := a.print(row, row.text); err != nil {
			return err
		}
	}
	return nil
}
