package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
)

func (a *app) evalRankCommand() *cobra.Command {
	var fields eval.Fields
	e := &eval.Ranks{}
	cmd := &cobra.Command{
		Use:   "rank DATA",
		Short: "Measure whether candidates come in a person's own order",
		Long: `Read people's labelled texts as eval does. In each split half of all people choose, by
the SDK's Chose, and TrainRank learns the order that all have from them; the others are
new, and choose too. Then Rank orders the texts that the new ones kept back, three in
ten, and AUC says how many pairs of a text with the label --liked and one without it
are in the right order. Then the other way round. A person counts once: their value is
the mean over the splits. Intervals are 95 %, of 10,000 draws of people.`,
		Example: "  xpeft-lab eval rank people.jsonl.gz --liked agree --drop pass --model all-MiniLM-L6-v2",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runs(func(ctx context.Context, _ []string) (err error) {
				if e.Data, err = eval.ReadData(args[0], fields, eval.SplitPeople); err != nil {
					return err
				}
				e.Log = a.stderr
				rows, err := e.Run(ctx)
				if err != nil {
					return err
				}
				return a.reportRank(rows)
			})(cmd, args)
		},
	}
	f := cmd.Flags()
	fieldFlags(cmd, &fields)
	f.StringVar(&e.Model, "model", "", "folder of the model")
	f.StringVar(&e.Liked, "liked", "", "label of what a person chooses")
	f.StringSliceVar(&e.Drop, "drop", nil, "labels that are no answers")
	f.IntVar(&e.Against, "against", 3, "candidates beside the chosen one")
	f.IntVar(&e.Answers, "answers", 90, "answers kept of each person")
	f.IntVar(&e.Most, "most", 20, "choices of a person")
	f.IntVar(&e.Least, "least", 25, "answers that a person must have")
	f.IntVar(&e.Splits, "splits", 1, "divisions of the people")
	f.IntVar(&e.MaxTokens, "max-tokens", 64, "longest text in tokens")
	_ = cmd.MarkFlagRequired("model")
	_ = cmd.MarkFlagRequired("liked")
	return cmd
}

// reportRank prints one Markdown table, or with --json a line for each row.
func (a *app) reportRank(rows []eval.RankRow) error {
	if !a.json {
		_, err := fmt.Fprint(a.stdout, eval.RankMarkdown(rows))
		return err
	}
	for _, r := range rows {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}
