package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
)

// precisionFlags say what precisions are compared on.
type precisionFlags struct {
	sources   []string
	fields    eval.Fields
	drop      []string
	model     string
	out       string
	names     []string
	most      int
	rows      int
	maxTokens int
}

func (a *app) evalPrecisionCommand() *cobra.Command {
	var o precisionFlags
	cmd := &cobra.Command{
		Use:   "precision DATA…",
		Short: "Measure what answers in other precisions than float32 are",
		Long: `Read people's labelled texts as eval does, and folders of GLUE as eval tasks does. Of
each source everybody learns in a new folder, by the SDK's own calls, in float32; the
head and the axes that they share are trained. Then the folder answers what was kept
back in float32 and in each precision. A precision meets the rule if mean accuracy is
within 0.3 points and log-loss within 0.005 of float32, and no answer changed whose
margin in float32 was above 0.05.`,
		Example: "  xpeft-lab eval precision news.jsonl.gz glue/CoLA --id author --label category --model " +
			"all-MiniLM-L6-v2",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.sources = args
			return a.runs(func(ctx context.Context, _ []string) error { return a.evaluatePrecision(ctx, o) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "folder of the model")
	f.StringVar(&o.out, "out", "out", "folder of the answers: a source that is there is not asked again")
	fieldFlags(cmd, &o.fields)
	f.StringSliceVar(&o.drop, "drop", nil, "labels that are no answers")
	f.StringSliceVar(&o.names, "precisions", []string{"int16", "int8"}, "precisions to compare with float32")
	f.IntVar(&o.most, "most", 60, "texts kept of each person")
	f.IntVar(&o.rows, "rows", 500, "training rows of a task")
	f.IntVar(&o.maxTokens, "max-tokens", 64, "longest text in tokens")
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

// evaluatePrecision prints one Markdown table, or with --json a line for each row.
func (a *app) evaluatePrecision(ctx context.Context, o precisionFlags) error {
	var sources []*eval.Asked
	for _, path := range o.sources {
		s, err := o.source(path)
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	e := &eval.Precisions{Model: o.model, MaxTokens: o.maxTokens, Names: o.names, Out: o.out,
		Log: func(line string) { fmt.Fprintln(a.stderr, line) }}
	rows, err := e.Run(ctx, sources)
	if err != nil {
		return err
	}
	if !a.json {
		_, err := fmt.Fprint(a.stdout, eval.PrecisionMarkdown(rows))
		return err
	}
	for _, r := range rows {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}

// source reads a file of people or the folder of a task.
func (o *precisionFlags) source(path string) (*eval.Asked, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		t, err := eval.ReadTask(path)
		if err != nil {
			return nil, err
		}
		return eval.AskedTask(t, o.rows), nil
	}
	d, err := eval.ReadData(path, o.fields, 1)
	if err != nil {
		return nil, err
	}
	for i, p := range d.People {
		d.People[i].Examples = slices.DeleteFunc(p.Examples, func(x eval.Example) bool {
			return slices.Contains(o.drop, x.Label)
		})
	}
	d.People = slices.DeleteFunc(d.People, func(p eval.Person) bool { return len(p.Examples) < 2 })
	d.Labels = slices.DeleteFunc(d.Labels, func(l string) bool { return slices.Contains(o.drop, l) })
	return eval.AskedPeople(filepath.Base(path), d, o.most), nil
}
