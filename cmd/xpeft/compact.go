package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/store"
)

// compacted is what compact did.
type compacted struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Write the folder's file anew, without what was forgotten",
		Long: "Write xpeft.db anew: as small as it can be, and without a byte of profiles that were forgotten. The " +
			"file is checked first, and what is\n" +
			"damaged stays as it is. It needs room for a second file. A service does it while it runs: Folder.Compact.",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			return a.withStore(false, func(st *store.Store) error {
				rep, err := st.Compact(ctx)
				if err != nil {
					return err
				}
				return a.print(compacted{rep.Before, rep.After},
					func(w io.Writer) { fields(w, "before", size(rep.Before), "after", size(rep.After)) })
			})
		}),
	}
}
