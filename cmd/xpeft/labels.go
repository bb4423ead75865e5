package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

// addPending adds a label that people have and the shared head does not.
func addPending(t *table, p sdk.PendingLabel) {
	label := p.Label
	if label == "" {
		label = "(of fewer than 5 people)"
	}
	t.row(label, number(p.People), number(p.Examples))
}

func (a *app) labelsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "labels",
		Short: "List the labels that people have taken up for themselves",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var o engineFlags
	pending := &cobra.Command{
		Use:   "pending",
		Short: "List the labels that profiles have and the shared head does not",
		Long: `List the labels that profiles have taken up for themselves (learn --labels,
--add-labels) and that the shared head does not have, those of the most people first. A
label of fewer than five people is counted and not named. xpeft head train --add-labels
takes them in.`,
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.labelsPending(ctx, o)
		}),
	}
	o.add(pending)
	o.addModel(pending)
	cmd.AddCommand(pending)
	return cmd
}
