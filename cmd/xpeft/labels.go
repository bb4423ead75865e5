package main

import (
	"cmp"
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

func (a *app) labelsCommand() *cobra.Command {
	var o engineFlags
	pending := &cobra.Command{
		Use:   "pending",
		Short: "List the labels that profiles have and the shared head does not",
		Long: `List the labels that profiles have taken up for themselves (learn --labels,
--add-labels) and that the shared head does not have, those of the most people first. A
label of fewer than five people is counted and not named. xpeft head train --add-labels
takes them in.`,
		Args: cobra.NoArgs,
		RunE: a.runsOn(&o, true, func(ctx context.Context, p *sdk.Folder, _ []string) error {
			return a.labelsPending(ctx, p)
		}),
	}
	o.add(pending)
	return parent("labels", "List the labels that people have taken up for themselves", pending)
}

func (a *app) labelsPending(ctx context.Context, p *sdk.Folder) error {
	labels, err := p.PendingLabels(ctx)
	if err != nil || len(labels) == 0 {
		return err
	}
	var t *table
	if !a.json {
		t = newTable(a.stdout, "LABEL", "PEOPLE", "EXAMPLES")
		defer t.flush()
	}
	for _, l := range labels {
		if err := a.print(l, func(io.Writer) {
			t.row(cmp.Or(l.Label, "(of fewer than 5 people)"), number(l.People), number(l.Examples))
		}); err != nil {
			return err
		}
	}
	return nil
}
