package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
)

func (a *app) evalWindowsCommand() *cobra.Command {
	var w eval.Windows
	var fields eval.Fields
	var folder string
	var maxTokens int
	cmd := &cobra.Command{
		Use:   "windows DATA",
		Short: "Measure what long texts are answered that are read in windows",
		Long: `Make long texts out of DATA's short ones: a run of them has one of --labels, and fillers
of --filler stand before and behind it, so that the label is decided early, in the
middle or late. Some are learned as the SDK learns digits, and the others are asked:
by the first window alone, by the mean of φ over the windows, and by the windows'
answers put together.`,
		Example: "  xpeft-lab eval windows news.jsonl.gz --id author --label category --labels SPORTS,TRAVEL \\\n" +
			"    --filler TECH,SCIENCE --model all-MiniLM-L6-v2",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if w.Decide < 1 || w.Decide > w.Pieces || len(w.Labels) < 2 || w.Learn < 2 || w.Asked < 1 || w.Most < 2 {
				return usagef("want two labels, windows and learned texts or more, an asked text, --decide of --pieces")
			}
			return a.runs(func(ctx context.Context, _ []string) error {
				return a.evaluateWindows(ctx, w, args[0], fields, folder, maxTokens)
			})(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&folder, "model", "", "folder of the model")
	fieldFlags(cmd, &fields)
	f.StringSliceVar(&w.Labels, "labels", nil, "labels that decide")
	f.StringSliceVar(&w.Filler, "filler", nil, "labels of the fillers")
	f.IntVar(&maxTokens, "max-tokens", 128, "tokens of a window")
	f.IntVar(&w.Most, "windows", 8, "windows of a text")
	f.IntVar(&w.Pieces, "pieces", 12, "short texts of a long one")
	f.IntVar(&w.Decide, "decide", 3, "of these that have the label")
	f.IntVar(&w.Learn, "learn", 120, "long texts that are learned, decided anywhere")
	f.IntVar(&w.Asked, "asked", 201, "long texts that are asked, for each place")
	f.Uint64Var(&w.Seed, "seed", 1, "of the texts that are drawn")
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

// evaluateWindows prints one Markdown table, or with --json a line for each row.
func (a *app) evaluateWindows(ctx context.Context, w eval.Windows, path string, fields eval.Fields, folder string,
	maxTokens int) (err error) {
	if w.Data, err = eval.ReadData(path, fields, 1); err != nil {
		return err
	}
	if w.Machine, err = eval.OpenMachine(folder, maxTokens); err != nil {
		return err
	}
	defer w.Machine.Close()
	rows, err := w.Run(ctx)
	if err != nil {
		return err
	}
	if !a.json {
		_, err := fmt.Fprint(a.stdout, eval.WindowsMarkdown(rows))
		return err
	}
	for _, r := range rows {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}
