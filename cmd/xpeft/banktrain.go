package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

func (a *app) bankTrainCommand() *cobra.Command {
	var e engineFlags
	var o sdk.TrainBankOptions
	var updates int
	var keepHead bool
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Make a bank of the stored examples of all profiles",
		Long: `Train the shared head on the stored examples of all profiles that share it, then a bank.
In a folder of digits that is the axes on which its people differ, with the head that
goes with them, if held-out people are answered better with them; xpeft bank advise says
so beforehand. In a folder of masks, or with --updates, it is a warm bank under that
head: for new profiles, and for those that xpeft rebase moves. One profile in five is
not trained on, but watched: training stops when it is served no better. A run that was
cut off goes on where it was with --keep-head, if the examples are still the same; else
it starts anew. The bank keeps what it learned of a profile when that is forgotten.`,
		Args: cobra.NoArgs,
		RunE: a.runsOn(&e, false, func(ctx context.Context, p *sdk.Folder, _ []string) error {
			if updates >= 0 {
				o.Edit = func(c *learner.BankConfig) { c.Updates = updates }
			}
			return a.bankTrain(ctx, p, keepHead, o)
		}),
	}
	e.add(cmd)
	f := cmd.Flags()
	f.IntVar(&updates, "updates", -1,
		"most steps; 0: the bank is shaped by the head and not trained; -1: the default")
	f.BoolVar(&keepHead, "keep-head", false, "do not train the shared head first")
	f.BoolVar(&o.KeepTexts, "keep-texts", false,
		"keep with axes the texts that three people or more labelled, for xpeft ask --kept")
	f.BoolVar(&o.ForgetTexts, "forget-texts", false,
		"keep nothing of single texts with axes, where a hash and a few numbers of each that three people or more "+
			"labelled are kept otherwise")
	return cmd
}

func (a *app) bankAdviseCommand() *cobra.Command {
	var o engineFlags
	cmd := &cobra.Command{
		Use:   "advise",
		Short: "Say what bank train would gain",
		Long: `Look for axes on which the folder's people differ, and say what people who are held out
would gain by them, or about how many people more it would take to tell; and what they
would gain by xpeft head train. Nothing is changed.`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			return a.bankAdvise(ctx, o)
		}),
	}
	o.add(cmd)
	return cmd
}

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

func (a *app) bankTrain(ctx context.Context, p *sdk.Folder, keepHead bool, o sdk.TrainBankOptions) error {
	var row bankTrained
	bar := a.newBar(-1, "bank")
	defer bar.done()
	if !keepHead {
		rep, err := p.TrainHead(ctx, &sdk.TrainHeadOptions{Progress: bar.step})
		if err != nil {
			return err
		}
		row.HeadInstalled, row.HeadBefore, row.HeadAfter = rep.Installed, rep.Before.Accuracy, rep.After.Accuracy
	}
	o.Progress = bar.step
	rep, err := p.TrainBank(ctx, &o)
	if err != nil {
		return err
	}
	row.BankReport = *rep
	bar.done()
	return a.say(row)
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

func (a *app) bankAdvise(ctx context.Context, o engineFlags) error {
	bar := a.newBar(-1, "advice")
	defer bar.done()
	var advice *sdk.Advice
	if err := a.withFolder(ctx, o, true, func(p *sdk.Folder) (err error) {
		advice, err = p.Advise(ctx, &sdk.TrainBankOptions{Progress: bar.step})
		return err
	}); err != nil {
		return err
	}
	bar.done()
	if err := a.withStore(false, func(st *store.Store) error {
		return folder.KeepAdvice(ctx, st, advice.Last())
	}); err != nil {
		fmt.Fprintf(a.stderr, "xpeft: stats will not show this: %v\n", err) // another process may have the folder
	}
	return a.say(advised{*advice})
}
