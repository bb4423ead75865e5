package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// checked is what check found.
type checked struct {
	OK   bool `json:"ok"`
	Deep bool `json:"deep"`
	sdk.CheckReport
}

func (a *app) checkCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read the folder whole and say what is wrong",
		Long: "Read every record, head and example, and compare checksums; look for the file of every bank that " +
			"has one. --deep also compares the cohorts\n" +
			"with the records, and the SHA-256 of the bank files. What is damaged is listed, and the exit code is " +
			"4. Nothing is changed.",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			return a.withStore(true, func(st *store.Store) error { return a.check(ctx, st, deep) })
		}),
	}
	cmd.Flags().BoolVar(&deep, "deep", false, "compare the cohorts and the bank files too")
	return cmd
}

func (a *app) check(ctx context.Context, st *store.Store, deep bool) error {
	rep, err := st.Check(ctx, deep)
	if err != nil && len(rep.Problems) == 0 {
		return err
	}
	banks, err := folder.CheckBanks(ctx, st, a.dir, deep)
	if err != nil {
		return err
	}
	heads, err := checkHeads(ctx, st, deep)
	if err != nil {
		return err
	}
	rep.Add(banks...)
	rep.Add(heads...)
	row := checked{OK: rep.Found() == 0, Deep: deep, CheckReport: sdk.CheckReport(rep)}
	row.Problems = []string{}
	for _, problem := range rep.Problems {
		row.Problems = append(row.Problems, oneLine(problem))
	}
	if err := a.say(row); err != nil || row.OK {
		return err
	}
	return fmt.Errorf("%w: %s in %s", store.ErrCorrupt, count(rep.Found(), "problem"), a.dir)
}

// checkHeads decodes what the store keeps as bytes: the shared heads and, if deep, the profiles'
// own. What the store cannot read Check has said.
func checkHeads(ctx context.Context, st *store.Store, deep bool) (problems []string, err error) {
	heads, err := st.Heads()
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return nil, err
	}
	for _, info := range heads {
		data, err := st.Head(info.Ref)
		if errors.Is(err, store.ErrCorrupt) {
			continue
		}
		if err == nil {
			_, err = folder.DecodeHead(data)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("head %s: %v", info.Digest.Short(), err))
		}
	}
	if !deep {
		return problems, nil
	}
	for p, err := range st.Profiles("") {
		if err := context.Cause(ctx); err != nil {
			return problems, err
		}
		if err != nil {
			if errors.Is(err, store.ErrCorrupt) {
				continue
			}
			return problems, err
		}
		if _, err := folder.DecodeHead(p.OwnHead); err != nil {
			problems = append(problems, fmt.Sprintf("profile %q: %v", p.ID, err))
		}
	}
	return problems, nil
}

func (c checked) text(w io.Writer) {
	fields(w, "profiles", number(c.Profiles), "earlier revisions", number(c.Revisions), "examples",
		number(c.Examples), "banks", number(c.Banks), "heads", number(c.Heads))
	for _, p := range c.Problems {
		fmt.Fprintf(w, "problem: %s\n", plain(p))
	}
	if c.More > 0 {
		fmt.Fprintf(w, "and %s more\n", count(c.More, "problem"))
	}
	sayTorn(w, c.TornMeta)
	if c.OK {
		fmt.Fprintln(w, "all sound")
	}
}
