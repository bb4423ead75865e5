package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// bankTrained is a bank that was made of the folder's profiles.
type bankTrained struct {
	HeadInstalled bool    `json:"head_installed"`
	HeadBefore    float64 `json:"head_before"` // accuracy on held-out examples
	HeadAfter     float64 `json:"head_after"`
	sdk.BankReport
}

func (b bankTrained) text(w io.Writer) {
	head := fmt.Sprintf("%.3f before, %.3f after, installed: %v", b.HeadBefore, b.HeadAfter, b.HeadInstalled)
	if people := b.Population; people != nil {
		fields(w, "decision", b.Reason, "bank", b.Bank, "made of",
			fmt.Sprintf("%d examples of %d profiles", b.Examples, b.Profiles))
		gains(w, people)
		if b.KeptTexts > 0 {
			fields(w, "kept", count(b.KeptTexts, "text"))
		}
		fields(w, "head", head)
		return
	}
	fields(w, "bank", b.Bank, "shape", fmt.Sprintf("%d adapters in the last %d blocks", b.N, b.Blocks),
		"made of", fmt.Sprintf("%d examples of %d profiles; %d more were watched", b.Examples, b.Profiles, b.Watched),
		"steps", fmt.Sprintf("%d, of which the first %d were kept", len(b.Losses), b.Best),
		"head", head)
}

func (a *app) bankTrain(ctx context.Context, f bankTrainFlags) (err error) {
	p, err := a.open(ctx, f.engineFlags, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var row bankTrained
	bar := a.newBar(-1, "bank")
	defer bar.done()
	if !f.keepHead {
		rep, err := p.TrainHead(ctx, &sdk.TrainHeadOptions{Progress: bar.step})
		if err != nil {
			return err
		}
		row.HeadInstalled, row.HeadBefore, row.HeadAfter = rep.Installed, rep.Before.Accuracy, rep.After.Accuracy
	}
	o := &sdk.TrainBankOptions{KeepTexts: f.keepTexts, ForgetTexts: f.forgetTexts, Progress: bar.step}
	if f.updates >= 0 {
		o.Edit = func(c *learner.BankConfig) { c.Updates = f.updates }
	}
	rep, err := p.TrainBank(ctx, o)
	if err != nil {
		return err
	}
	row.BankReport = *rep
	bar.done()
	return a.print(row, row.text)
}

func (a *app) rollback(ctx context.Context, f engineFlags, id string, to uint64) (err error) {
	p, err := a.open(ctx, f, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	now, err := p.Rollback(ctx, id, &sdk.RollbackOptions{Revision: to})
	if err != nil {
		return err
	}
	row := rolledBack{id, now}
	return a.print(row, row.text)
}

// rebase moves profiles; one that cannot be moved does not stop the others.
func (a *app) rebase(ctx context.Context, f engineFlags, ids []string) (err error) {
	p, err := a.open(ctx, f, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var failed rowErrors
	show := func(id string, rep *sdk.Report, err error) error {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			failed.add(err)
			a.printFailed(id, err)
			return nil
		}
		if err := a.printLearned(rep, false); err != nil {
			return err
		}
		return a.stdout.Flush()
	}
	if len(ids) == 0 {
		for rep, err := range p.RebaseAll(ctx) {
			if err := show("", rep, err); err != nil {
				return err
			}
		}
		return failed.err()
	}
	for _, id := range ids {
		rep, err := p.Rebase(ctx, id)
		if err := show(id, rep, err); err != nil {
			return err
		}
	}
	return failed.err()
}
