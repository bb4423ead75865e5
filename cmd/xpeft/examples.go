package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// storedExample is an example of a profile, with what the store says of it.
type storedExample struct {
	Profile string `json:"profile"`
	sdk.StoredExample
}

// givenExample is an example of a profile, in the form that learn reads.
type givenExample struct {
	Profile string `json:"profile"`
	sdk.Example
}

// forgottenExample is a text that was erased.
type forgottenExample struct {
	Profile  string `json:"profile"`
	Examples int    `json:"examples"` // that were stored of it
}

// expired is what was too old.
type expired struct {
	Examples int `json:"examples"`
}

func (a *app) examplesCommand() *cobra.Command {
	return parent("examples", "List and erase stored examples", a.examplesListCommand(), a.examplesForgetCommand(),
		a.examplesExpireCommand())
}

func (a *app) examplesListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list PROFILE...",
		Short: "List what a profile was told, as JSON lines",
		Long: "Print the stored examples of profiles as JSON lines, oldest first, with their times " +
			"and with what trainings did with them. xpeft show --examples prints what xpeft learn reads.",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			return a.withStore(true, func(st *store.Store) error {
				return a.eachID(ctx, ids, func(id string) error {
					return a.printExamples(st, id, func(e sdk.StoredExample) any { return storedExample{id, e} })
				})
			})
		}),
	}
}

func (a *app) examplesForgetCommand() *cobra.Command {
	var text, pair string
	cmd := &cobra.Command{
		Use:   "forget PROFILE --text TEXT",
		Short: "Erase one text, and what was learned from it",
		Long: `Erase what a profile was told of a text (with --pair: of a pair), under whatever label,
and what was learned from it: logits and earlier revisions. The revision that is served
stays until the profile is learned anew from what is left, by the next xpeft observe or
by the service that opens the folder.`,
		Example: "  xpeft examples forget alice --text \"call Dr. Miller\"\n  xpeft observe --in " +
			"/dev/null   # learns what is due, now",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			if text == "" {
				return usagef("examples forget needs --text")
			}
			return a.withStore(false, func(st *store.Store) error {
				return a.forgetExample(ctx, st, ids[0], text,
					pair)
			})
		}),
	}
	cmd.Flags().StringVar(&text, "text", "", "the text")
	cmd.Flags().StringVar(&pair, "pair", "", "the second text of a pair")
	return cmd
}

func (a *app) forgetExample(ctx context.Context, st *store.Store, id, text, pair string) error {
	var texts folder.Texts // which texts are one in this folder
	if err := texts.Read(st); err != nil {
		return err
	}
	if err := folder.DropCheckpoints(a.dir); err != nil {
		return err
	}
	n, err := st.ForgetExample(ctx, id, texts.Key(text, pair))
	if err != nil {
		return err
	}
	return a.say(forgottenExample{id, n})
}

func (f forgottenExample) text(w io.Writer) {
	fmt.Fprintf(w, "forgot %s of %s; the next xpeft observe, or the service that opens the folder, learns it anew\n",
		count(f.Examples, "example"), plain(f.Profile))
}

func (a *app) examplesExpireCommand() *cobra.Command {
	var age time.Duration
	cmd := &cobra.Command{
		Use:   "expire --older-than AGE",
		Short: "Erase the examples of all profiles that are older than an age",
		Long: `Erase the stored examples of all profiles that are older than an age, for example 2160h,
90 days. What was learned from them stays learned. A service does it by itself, with
Options.ExampleAge.`,
		Example: "  xpeft examples expire --older-than 2160h",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if age <= 0 {
				return usagef("examples expire needs --older-than, more than 0: 2160h are 90 days")
			}
			return a.withOptions(store.Options{MaxAge: age}, func(st *store.Store) error { return a.expire(ctx, st) })
		}),
	}
	cmd.Flags().DurationVar(&age, "older-than", 0, "age of those that are erased, as 2160h")
	return cmd
}

// expire prints what was erased even if not all profiles had their turn: that is done.
func (a *app) expire(ctx context.Context, st *store.Store) error {
	if err := folder.DropCheckpoints(a.dir); err != nil {
		return err
	}
	n, err := st.Expire(ctx, "")
	if err != nil && n == 0 {
		return err
	}
	row := expired{n}
	if printed := a.print(row, func(w io.Writer) { fmt.Fprintf(w, "erased %s\n", count(n, "example")) }); err == nil {
		err = printed
	}
	return err
}

// printExamples prints a profile's examples as JSON lines, with --json or without.
func (a *app) printExamples(st *store.Store, id string, row func(sdk.StoredExample) any) error {
	examples, err := sdk.ReadExamples(st, id)
	if err != nil {
		return err
	}
	for _, e := range examples {
		if err := a.encoder().Encode(row(e)); err != nil {
			return err
		}
	}
	return nil
}

func newGiven(id string, e sdk.StoredExample) givenExample {
	if e.Weight == 1 {
		e.Weight = 0 // which learn reads as 1
	}
	return givenExample{id, e.Example}
}
