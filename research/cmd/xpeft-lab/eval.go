package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
)

// evalFlags say what is evaluated.
type evalFlags struct {
	data      string
	fields    eval.Fields
	model     string
	out       string
	modes     []string
	splits    int
	seeds     int
	shots     []int
	most      int
	people    int
	maxTokens int
	reference string
}

func (a *app) evalCommand() *cobra.Command {
	var o evalFlags
	cmd := &cobra.Command{
		Use:   "eval DATA",
		Short: "Measure how well new people are served, and compare with what else could serve them",
		Long: `Read people's labelled texts as JSON lines, plain or gzipped, and compare ways of
serving new ones. A split draws half of the people as new; the others make the shared
head and the warm banks. A third of all are never new: settings are chosen on them
alone, the same number for every mode. Three in ten of a new person's texts are the
test. Each mode, split and seed is one file in the output folder: what is there is not
repeated, so an evaluation can be cut off and go on, and several processes may share the
work.`,
		Example: "  xpeft-lab eval news.jsonl.gz --model all-MiniLM-L6-v2 --id author --label category --out out\n " +
			" xpeft-lab eval report out",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.data = args[0]
			return a.runs(func(ctx context.Context, _ []string) error { return a.evaluate(ctx, o) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "folder of the model")
	f.StringVar(&o.out, "out", "out", "folder of the run files")
	fieldFlags(cmd, &o.fields)
	f.StringSliceVar(&o.modes, "modes", []string{"all"}, "modes to run; all: every one")
	f.IntVar(&o.splits, "splits", 3, "divisions of the people")
	f.IntVar(&o.seeds, "seeds", 3, "divisions of each person's texts")
	f.IntSliceVar(&o.shots, "shots",
		nil, "most training texts of a new person, for learning curves; without it all there are")
	f.IntVar(&o.most, "most", 60, "texts kept of each person")
	f.IntVar(&o.people, "people", 0, "most new people of a split; 0: all")
	f.IntVar(&o.maxTokens, "max-tokens", 64, "longest text in tokens")
	f.StringVar(&o.reference, "reference", "x_peft", "mode that the others are compared with")
	_ = cmd.MarkFlagRequired("model")
	cmd.AddCommand(a.evalReportCommand(), a.evalTasksCommand(), a.evalAloneCommand(), a.evalPeopleCommand(),
		a.evalPrecisionCommand(), a.evalWindowsCommand(), a.evalRankCommand())
	return cmd
}

// fieldFlags name the input's JSON fields.
func fieldFlags(cmd *cobra.Command, fields *eval.Fields) {
	f := cmd.Flags()
	f.StringVar(&fields.ID, "id", "profile", "JSON field that names the person")
	f.StringVar(&fields.Text, "text", "text", "JSON field of the text")
	f.StringVar(&fields.Pair, "pair", "pair", "JSON field of a second text")
	f.StringVar(&fields.Label, "label", "label", "JSON field of the label")
}

func (a *app) evalReportCommand() *cobra.Command {
	var reference string
	cmd := &cobra.Command{
		Use:   "report RUNS…",
		Short: "Print the tables of an evaluation from its run files",
		Args:  cobra.MinimumNArgs(1),
		RunE: a.runs(func(_ context.Context, args []string) error {
			return a.report(args, reference)
		}),
	}
	cmd.Flags().StringVar(&reference, "reference", "x_peft", "mode that the others are compared with")
	return cmd
}

// report prints one Markdown table, or with --json a line for each mode.
func (a *app) report(paths []string, reference string) error {
	runs, err := eval.ReadRuns(paths...)
	if err != nil {
		return err
	}
	if err := a.reportTasks(runs); err != nil {
		return err
	}
	rows, err := eval.Report(runs, reference)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	if !a.json {
		_, err := fmt.Fprint(a.stdout, eval.Markdown(rows, reference))
		return err
	}
	for _, r := range rows {
		if err := a.printJSON(r); err != nil {
			return err
		}
	}
	return nil
}

func joinNames[T any](all []T, name func(T) string) string {
	var names []string
	for _, x := range all {
		names = append(names, name(x))
	}
	return strings.Join(names, ", ")
}
