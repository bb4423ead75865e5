package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// rolledBack is a profile that is served from an earlier revision again.
type rolledBack struct {
	Profile  string `json:"profile"`
	Revision uint64 `json:"revision"` // its new number
}

func (r rolledBack) text(w io.Writer) {
	fmt.Fprintf(w, "%s is served from an earlier revision, now number %d\n", plain(r.Profile), r.Revision)
}

func (a *app) rollbackCommand() *cobra.Command {
	var o engineFlags
	var to uint64
	cmd := &cobra.Command{
		Use:   "rollback PROFILE",
		Short: "Serve an earlier revision of a profile again",
		Long: "Serve an earlier revision of a profile again, under a new number: the one before the " +
			"current, or the one that --to names. The last few revisions are kept. Examples stay.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, args []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.rollback(ctx, o, args[0], to)
		}),
	}
	o.add(cmd)
	o.addModel(cmd)
	cmd.Flags().Uint64Var(&to, "to", 0, "revision to go back to; 0: the one before the current")
	return cmd
}

func (a *app) rebaseCommand() *cobra.Command {
	var o engineFlags
	cmd := &cobra.Command{
		Use:   "rebase [PROFILE...]",
		Short: "Move profiles to the folder's newest bank and head",
		Long: `Learn profiles anew from their stored examples over the bank and the shared head that
new profiles get, and move those that are no worse there on examples that they had not
learned. Without a name all profiles have their turn. What does not move is served as
before.`,
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			return a.rebase(ctx, o, ids)
		}),
	}
	o.add(cmd)
	o.addModel(cmd)
	return cmd
}
