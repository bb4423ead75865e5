package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// shown is all that the store knows of a profile, but for the texts.
type shown struct {
	profileRow
	Labels         []string         `json:"labels"`
	Prior          []uint32         `json:"prior"`
	OwnHeadBytes   int              `json:"own_head_bytes"`
	AffineBytes    int              `json:"affine_bytes"`
	BiasBytes      int              `json:"bias_bytes"`
	StateBytes     int              `json:"state_bytes"`
	StoredExamples int              `json:"stored_examples"`
	Waiting        int              `json:"waiting"`
	Private        bool             `json:"private"`
	History        []pastRow        `json:"history"`
	Masks          []sdk.PersonMask `json:"masks,omitempty"`

	Prequential folder.Prequential `json:"prequential"`
}

// pastRow is an earlier revision.
type pastRow struct {
	Revision uint64    `json:"revision"`
	Examples uint32    `json:"examples"`
	Before   *float32  `json:"before"`
	After    *float32  `json:"after"`
	Updated  time.Time `json:"updated"`
}

func (a *app) showCommand() *cobra.Command {
	var masks, examples bool
	cmd := &cobra.Command{
		Use:   "show PROFILE...",
		Short: "Show what is stored of a profile",
		Long: "Show profiles: labels, scores, sizes, earlier revisions. --examples prints the stored " +
			"examples instead, as the JSON lines that xpeft learn reads.",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeProfiles,
		RunE: a.runs(func(ctx context.Context, ids []string) error {
			if masks && examples {
				return usagef("show takes --masks or --examples, not both")
			}
			return a.withStore(true, func(st *store.Store) error {
				if examples {
					return a.eachID(ctx, ids, func(id string) error {
						return a.printExamples(st, id, func(e sdk.StoredExample) any { return newGiven(id, e) })
					})
				}
				c := newCatalog(st)
				return a.eachID(ctx, ids, func(id string) error { return a.show(c, id, masks) })
			})
		}),
	}
	cmd.Flags().BoolVar(&masks, "masks", false, "with the adapters, or directions, that each row selects")
	cmd.Flags().BoolVar(&examples, "examples", false, "the stored examples instead, as JSON lines")
	return cmd
}

// failedRow stands for a profile for which a command failed.
type failedRow struct {
	Profile string `json:"profile"`
	Error   string `json:"error"`
	Code    string `json:"code"`
}

// eachID calls f for every id. An id that fails does not stop the others: with one id the error is
// the command's, with more it is a row.
func (a *app) eachID(ctx context.Context, ids []string, f func(id string) error) error {
	var failed rowErrors
	for _, id := range ids {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		err := f(id)
		if err != nil && len(ids) == 1 {
			return err
		}
		if err != nil {
			failed.add(err)
			a.printFailed(id, err)
		}
	}
	return failed.err()
}

func (a *app) printFailed(id string, err error) {
	row := failedRow{id, oneLine(err.Error()), codeName(exitCode(err))}
	if !a.json {
		a.stdout.Flush() // in the order in which it happened
		fmt.Fprintf(a.stderr, "xpeft: %s: %s\n", plain(id), plain(row.Error))
		return
	}
	a.print(row, nil)
}

func (a *app) show(c *catalog, id string, masks bool) error {
	p, err := c.st.Get(id)
	if err != nil {
		return err
	}
	s, err := c.shown(p)
	if err != nil {
		return err
	}
	if masks {
		if err := folder.Masks(c.st, p, s.Labels, func(side string, block int, label string, adapters []int32) {
			s.Masks = append(s.Masks, sdk.PersonMask{Side: side, Block: block, Label: label, Adapters: adapters})
		}); err != nil {
			return err
		}
	}
	return a.say(s)
}

func (c *catalog) shown(p *store.Profile) (shown, error) {
	row, err := c.row(p)
	if err != nil {
		return shown{}, err
	}
	s := shown{profileRow: row, Labels: []string{}, Prior: p.Prior, History: []pastRow{},
		OwnHeadBytes: len(p.OwnHead), AffineBytes: len(p.Affine), BiasBytes: len(p.Bias)}
	if s.Prior == nil {
		s.Prior = []uint32{}
	}
	h, _, err := c.head(p)
	if err != nil {
		return shown{}, err
	}
	if h != nil && h.Labels != nil {
		s.Labels = h.Labels
	}
	state, err := c.st.State(p.ID)
	if err != nil {
		return shown{}, err
	}
	examples, err := c.st.Examples(p.ID)
	if err != nil {
		return shown{}, err
	}
	person, err := c.st.Person(p.ID)
	if err != nil {
		return shown{}, err
	}
	s.StateBytes, s.StoredExamples = len(state), len(examples)
	s.Waiting, s.Private, s.Prequential = person.Waiting, person.Private, folder.PrequentialOf(person.Notes)
	past, err := c.st.History(p.ID)
	if err != nil {
		return shown{}, err
	}
	for _, q := range past {
		s.History = append(s.History, pastRow{q.Revision, q.Examples, folder.Measured(q.Before),
			folder.Measured(q.After), q.Updated.UTC()})
	}
	return s, nil
}

func (s shown) text(w io.Writer) {
	bank := "none"
	if s.Bank != "" {
		bank = s.Bank[:12]
	}
	fields(w,
		"profile", s.Profile,
		"revision", number(s.Revision),
		"created", date(s.Created),
		"updated", date(s.Updated),
		"bank", bank,
		"masks", s.masks(),
		"head", s.Head,
		"labels", s.labels(),
		"score", score(s.Before)+" before, "+score(s.After)+" after the last learn",
		"prequential", prequential(s.Prequential),
		"examples", fmt.Sprintf("%d learned from, %d stored, %d waiting for the next training", s.Examples,
			s.StoredExamples, s.Waiting),
		"private", fmt.Sprint(s.Private),
		"bytes", fmt.Sprintf("%d: masks %d, affine %d, own head %d, bias %d; beside it %d of state", s.Bytes,
			s.MaskBytes, s.AffineBytes, s.OwnHeadBytes, s.BiasBytes, s.StateBytes),
	)
	for _, h := range s.History {
		fields(w, "earlier", fmt.Sprintf("revision %d of %s, %d examples, score %s", h.Revision, date(h.Updated),
			h.Examples, score(h.After)))
	}
	for _, r := range s.Masks {
		if r.Label != "" {
			fmt.Fprintf(w, "%-4s %s  %v\n", r.Side, plain(r.Label), r.Adapters)
			continue
		}
		fmt.Fprintf(w, "%-4s %2d  %v\n", r.Side, r.Block, r.Adapters)
	}
}

// masks are those over adapters, the rows of digits, or none.
func (s shown) masks() string {
	switch {
	case s.Blocks > 0:
		return fmt.Sprintf("%d of %d adapters in each of 2·%d rows", s.K, s.N, s.Blocks)
	case s.Rows > 0:
		return fmt.Sprintf("%d of %d directions, as digits, in the rows of %s", s.K, s.N, count(s.Rows, "label"))
	}
	return "none: the label prior alone"
}

// labels, each with its number of examples where they are counted.
func (s shown) labels() string {
	var list []string
	for i, l := range s.Labels {
		if i < len(s.Prior) {
			l = fmt.Sprintf("%s (%d)", l, s.Prior[i])
		}
		list = append(list, l)
	}
	return strings.Join(list, ", ")
}
