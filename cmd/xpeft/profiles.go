package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// profileRow is a profile without its examples and masks.
type profileRow struct {
	Profile   string    `json:"profile"`
	Revision  uint64    `json:"revision"`
	Bank      string    `json:"bank"`
	Head      string    `json:"head"`
	N         int       `json:"n"`
	K         int       `json:"k"`
	Blocks    int       `json:"blocks"` // of masks
	Rows      int       `json:"rows"`   // of digits: labels that have one
	Examples  uint32    `json:"examples"`
	Before    *float32  `json:"before"`
	After     *float32  `json:"after"`
	Bytes     int       `json:"bytes"`
	MaskBytes int       `json:"mask_bytes"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
}

func (a *app) profilesCommand() *cobra.Command {
	var o sdk.ProfilesOptions
	var limit int
	cmd := &cobra.Command{
		Use:   "profiles [PREFIX]",
		Short: "List profiles",
		Long: "List the profiles whose id starts with PREFIX, or all, in the order of their ids. With " +
			"more than one of --bank, --head and --label all must be true.",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, args []string) error {
			if len(args) == 1 {
				o.Prefix = args[0]
			}
			return a.withStore(true, func(st *store.Store) error { return a.profiles(ctx, st, o, limit) })
		}),
	}
	cmd.Flags().StringVar(&o.Bank, "bank", "", "those over the bank with this `digest`, which may be cut short")
	cmd.Flags().StringVar(&o.Head, "head",
		"", "those that share the head with this name, or `digest`, which may be cut short")
	cmd.Flags().StringVar(&o.Label, "label", "", "those that were given an example of this `label`")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most this many; 0: all")
	return cmd
}

func (a *app) profiles(ctx context.Context, st *store.Store, o sdk.ProfilesOptions, limit int) error {
	filters, err := folder.Filters(st, o.Bank, o.Head, store.Filter{Label: o.Label})
	if err != nil {
		return err
	}
	c := newCatalog(st)
	var t *table
	listed := 0
	for p, err := range st.Profiles(o.Prefix, filters...) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if limit > 0 && listed == limit {
			break
		}
		row, err := c.row(p)
		if err != nil {
			return err
		}
		if t == nil && !a.json {
			t = newTable(a.stdout, "PROFILE", "REVISION", "HEAD", "EXAMPLES", "BEFORE", "AFTER", "BYTES", "UPDATED")
		}
		if err := a.print(row, func(io.Writer) {
			t.row(row.Profile, strconv.FormatUint(row.Revision, 10), row.Head, number(row.Examples), score(row.Before),
				score(row.After), number(row.Bytes), date(row.Updated))
		}); err != nil {
			return err
		}
		listed++
	}
	if t != nil {
		t.flush()
	}
	return nil
}

func score(v *float32) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *v)
}

func number[T ~int | ~int64 | ~uint32 | ~uint64](n T) string { return fmt.Sprint(n) }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
