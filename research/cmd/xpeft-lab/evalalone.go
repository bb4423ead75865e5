package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
)

// aloneFlags say how people are measured alone.
type aloneFlags struct {
	data      string
	fields    eval.Fields
	model     string
	unseen    string
	splits    int
	shots     []int
	most      int
	maxTokens int
	noOwn     bool
	head      string
	masks     bool
}

func (a *app) evalAloneCommand() *cobra.Command {
	var o aloneFlags
	cmd := &cobra.Command{
		Use:   "alone DATA",
		Short: "Measure how people are served on a service's first day, without a population",
		Long: `Read people's labelled texts as eval does. In each split three in ten of each person's
texts are kept back, and everybody learns from the others in a new folder, by the SDK's
own calls; taught answers are off. The same texts are answered by the shared head with
the person's label prior, and by own linear heads in float32 over the last block's
pooled embedding and over φ, each with the L2 and the start that are best on these very
texts.`,
		Example: "  xpeft-lab eval alone people.jsonl --unseen unseen.jsonl --splits 30 --most 100 --model " +
			"all-MiniLM-L6-v2",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.data = args[0]
			return a.runs(func(ctx context.Context, _ []string) error { return a.evaluateAlone(ctx, o) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "folder of the model")
	f.StringVar(&o.unseen, "unseen", "", "JSON lines of texts that nobody has filed, with labels by person")
	fieldFlags(cmd, &o.fields)
	f.IntVar(&o.splits, "splits", 3, "divisions of each person's texts")
	f.IntSliceVar(&o.shots, "shots",
		nil, "most training texts of a person, for learning curves; without it all there are")
	f.IntVar(&o.most, "most", 60, "texts kept of each person")
	f.IntVar(&o.maxTokens, "max-tokens", 64, "longest text in tokens")
	f.BoolVar(&o.noOwn, "no-own", false, "leave the own heads out, which take most of the time")
	f.StringVar(&o.head, "head", "", "own: each person has a head of their own, beside masks")
	f.BoolVar(&o.masks, "masks", false, "masks instead of digits, beside the shared head or an own one")
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

// reportAlone prints one Markdown table, or with --json a line for each row.
func (a *app) reportAlone(rows []eval.AloneRow) error {
	if !a.json {
		_, err := fmt.Fprint(a.stdout, eval.AloneMarkdown(rows))
		return err
	}
	for _, r := range rows {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}
