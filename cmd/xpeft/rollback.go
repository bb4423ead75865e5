package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
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
		RunE: a.runsOn(&o, false, func(ctx context.Context, p *sdk.Folder, args []string) error {
			now, err := p.Rollback(ctx, args[0], &sdk.RollbackOptions{Revision: to})
			if err != nil {
				return err
			}
			return a.say(rolledBack{args[0], now})
		}),
	}
	o.add(cmd)
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
		RunE: a.runsOn(&o, false, func(ctx context.Context, p *sdk.Folder, ids []string) error {
			return a.rebase(ctx, p, ids)
		}),
	}
	o.add(cmd)
	return cmd
}

// rebase moves profiles; one that cannot be moved does not stop the others.
func (a *app) rebase(ctx context.Context, p *sdk.Folder, ids []string) error {
	var failed rowErrors
	show := func(id string, rep *sdk.Report, err error) error {
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			failed.add(err)
			a.printFailed(id, err)
			return nil
		}
		if err := a.printLearned(rep, false); err != nil {
			return err
		}
		return a.stdout.Flush()
	}
	if len(ids) == 0 {
		for rep, err := range p.RebaseAll(ctx) {
			if err := show("", rep, err); err != nil {
				return err
			}
		}
		return failed.err()
	}
	for _, id := range ids {
		rep, err := p.Rebase(ctx, id)
		if err := show(id, rep, err); err != nil {
			return err
		}
	}
	return failed.err()
}
