package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// repairedRow is what repair saved.
type repairedRow struct {
	To        string   `json:"to"`
	Profiles  int      `json:"profiles"`
	Revisions int      `json:"revisions"`
	States    int      `json:"states"`
	Examples  int      `json:"examples"`
	Banks     int      `json:"banks"`
	Heads     int      `json:"heads"`
	Names     int      `json:"names"`
	Values    int      `json:"values"`
	TornMeta  bool     `json:"torn_meta"`
	Lost      []string `json:"lost"`
}

func (a *app) repairCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Make a new folder of what is whole in a damaged one",
		Long: "Read a damaged folder page by page, and write what is whole into a new one, which is checked. What " +
			"is lost is listed.\n" +
			"The damaged folder is not changed.",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if to == "" {
				return &usageError{errors.New("--to is missing: the folder to make")}
			}
			return a.repair(ctx, to)
		}),
	}
	cmd.Flags().StringVar(&to, "to", "", "folder to make; there must be none")
	return cmd
}

func (a *app) repair(ctx context.Context, to string) error {
	if err := a.mustExist(); err != nil {
		return err
	}
	rep, err := folder.Repair(ctx, a.dir, to, &store.RepairOptions{MasterKey: a.key, Timeout: a.lock})
	if err != nil {
		return err
	}
	row := repairedRow{To: to, Profiles: rep.Profiles, Revisions: rep.Revisions, States: rep.States,
		Examples: rep.Examples,
		Banks:    rep.Banks, Heads: rep.Heads, Names: rep.Names, Values: rep.Values, TornMeta: rep.TornMeta,
		Lost: []string{}}
	for _, lost := range rep.Lost {
		row.Lost = append(row.Lost, oneLine(lost))
	}
	return a.say(row)
}

func (r repairedRow) text(w io.Writer) {
	fields(w, "profiles", number(r.Profiles), "earlier revisions", number(r.Revisions), "examples",
		number(r.Examples), "banks", number(r.Banks), "heads", number(r.Heads))
	for _, lost := range r.Lost {
		fmt.Fprintf(w, "lost: %s\n", plain(lost))
	}
	sayTorn(w, r.TornMeta)
	if len(r.Lost) == 0 {
		fmt.Fprintln(w, "nothing is lost")
	}
}

// sayTorn says what a torn meta page means.
func sayTorn(w io.Writer, torn bool) {
	if torn {
		fmt.Fprintln(w, "one of the two meta pages is not whole: after a crash that is as it should be; else the "+
			"last change before the damage may be missing")
	}
}
