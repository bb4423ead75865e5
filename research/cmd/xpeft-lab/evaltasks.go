package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/research/eval"
)

// taskFlags say how tasks are evaluated.
type taskFlags struct {
	dirs      []string
	model     string
	out       string
	sizes     []int
	k         int
	rows      int
	epochs    int
	seeds     int
	maxTokens int
	oneMask   bool
}

func (a *app) evalTasksCommand() *cobra.Command {
	var o taskFlags
	cmd := &cobra.Command{
		Use:   "tasks DIR…",
		Short: "Learn tasks of GLUE, one profile each, in the layout of the paper's Table 2",
		Long: `Read folders of GLUE (CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI, RTE, WNLI: the folder's
name says which; train.tsv and dev.tsv, plain or gzipped), learn each task as one
profile over random banks with adapters in all blocks, and score it on the dev rows with
the task's own metrics, beside a head alone and a single trained adapter. All modes
train a head of two layers. Each mode, task and seed is one file in the output folder:
what is there is not repeated.`,
		Example: "  xpeft-lab eval tasks glue/CoLA glue/MRPC --model all-MiniLM-L6-v2 --out out/glue",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dirs = args
			return a.runs(func(ctx context.Context, _ []string) error { return a.evaluateTasks(ctx, o) })(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.model, "model", "", "folder of the model")
	f.StringVar(&o.out, "out", "out", "folder of the run files")
	f.IntSliceVar(&o.sizes, "sizes", []int{100, 400}, "adapters in the random banks, N")
	f.IntVar(&o.k, "k", 0, "adapters that a hard mask chooses; 0: a quarter of N")
	f.IntVar(&o.rows, "rows", 4000, "most training rows; 0: all")
	f.IntVar(&o.epochs, "epochs", 3, "passes over the training rows")
	f.IntVar(&o.seeds, "seeds", 1, "repetitions")
	f.IntVar(&o.maxTokens, "max-tokens", 64, "longest text in tokens")
	f.BoolVar(&o.oneMask, "one-mask", false, "also hard masks that are one for both sides")
	_ = cmd.MarkFlagRequired("model")
	return cmd
}

// reportTasks prints the table of tasks, or with --json a line for each cell.
func (a *app) reportTasks(runs []eval.Run) error {
	cells := eval.TaskReport(runs)
	if !a.json {
		if len(cells) > 0 {
			_, err := fmt.Fprint(a.stdout, eval.TaskMarkdown(cells))
			return err
		}
		return nil
	}
	for _, c := range cells {
		if err := a.printJSON(c); err != nil {
			return err
		}
	}
	return nil
}
