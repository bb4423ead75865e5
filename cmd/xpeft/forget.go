package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// forgotten is a profile that is no more.
type forgotten struct {
	Profile   string `json:"profile"`
	Forgotten bool   `json:"forgotten"`
}

func (a *app) forgetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "forget PROFILE...",
		Short: "Erase profiles",
		Long: "Erase profiles: masks, head, label counts, examples, logits and earlier revisions. " +
			"Bundles and backups made before still hold them.",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			return a.withStore(false, func(st *store.Store) error {
				if err := folder.DropCheckpoints(a.dir); err != nil {
					return err
				}
				return a.eachID(ctx, ids, func(id string) error {
					if err := st.Delete(ctx, id); err != nil {
						return err
					}
					return a.print(forgotten{id, true}, func(w io.Writer) { fmt.Fprintf(w, "forgot %s\n", plain(id)) })
				})
			})
		}),
	}
}
