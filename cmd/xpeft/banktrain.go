package main

import (
	"context"

	"github.com/spf13/cobra"
)

// bankTrainFlags say how a bank is trained.
type bankTrainFlags struct {
	engineFlags
	updates     int
	keepHead    bool
	keepTexts   bool
	forgetTexts bool
}

func (a *app) bankTrainCommand() *cobra.Command {
	var o bankTrainFlags
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
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.bankTrain(ctx, o)
		}),
	}
	o.add(cmd)
	o.addModel(cmd)
	f := cmd.Flags()
	f.IntVar(&o.updates, "updates", -1,
		"most steps; 0: the bank is shaped by the head and not trained; -1: the default")
	f.BoolVar(&o.keepHead, "keep-head", false, "do not train the shared head first")
	f.BoolVar(&o.keepTexts, "keep-texts", false,
		"keep with axes the texts that three people or more labelled, for xpeft ask --kept")
	f.BoolVar(&o.forgetTexts, "forget-texts", false,
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
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.bankAdvise(ctx, o)
		}),
	}
	o.add(cmd)
	o.addModel(cmd)
	return cmd
}
