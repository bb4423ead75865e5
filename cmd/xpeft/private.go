package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/store"
)

// kept is a profile that is kept out of what is made of many, or not.
type kept struct {
	Profile string `json:"profile"`
	Private bool   `json:"private"`
}

func (a *app) privateCommand() *cobra.Command {
	var off bool
	cmd := &cobra.Command{
		Use:   "private PROFILE...",
		Short: "Keep profiles out of what is made of many",
		Long: `Keep profiles out of what is made of many: shared heads, banks and pending labels. They
learn and answer as before. What a head or a bank learned of them before stays in it. It
holds until --off, whatever rollback and import do.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			return a.withStore(false, func(st *store.Store) error {
				return a.eachID(ctx, ids, func(id string) error {
					w := store.Write{Person: func(p *store.Person) { p.Private = !off }}
					if err := st.Beside(ctx, id, w); err != nil {
						return err
					}
					return a.say(kept{id, !off})
				})
			})
		}),
	}
	cmd.Flags().BoolVar(&off, "off", false, "let them in again")
	return cmd
}

func (k kept) text(w io.Writer) {
	word := "is not private any more"
	if k.Private {
		word = "is private"
	}
	fmt.Fprintf(w, "%s %s\n", plain(k.Profile), word)
}
