package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

func (a *app) personCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "person PROFILE",
		Short: "Print all that is stored of one person",
		Long: `Print all that is stored of one person as one JSON document, to be handed out: examples,
masks, revisions, logits. What a warm bank or a shared head has learned of the person is
not in it: nothing says whose it is. It opens no model.`,
		Example:           "  xpeft person alice > alice.json",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			return a.withStore(true, func(st *store.Store) error { return a.person(st, ids[0]) })
		}),
	}
}

// person prints JSON with --json or without, for people over many lines.
func (a *app) person(st *store.Store, id string) error {
	d, err := sdk.ReadPersonData(st, id)
	if err != nil {
		return err
	}
	enc := a.encoder()
	if !a.json {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(d)
}
