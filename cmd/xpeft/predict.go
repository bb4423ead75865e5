package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/jsonl"
	"github.com/xpeft/xpeft/sdk"
)

// predictFlags say what is asked.
type predictFlags struct {
	engineFlags
	in       string
	profile  string
	pair     string
	fallback string
	batch    int
	noTaught bool
	least    float64
	// by label, as they were given
	thresholds []string

	where func(number int) string // names a line in messages
}

// predicted is the answer to one line or text. Numbers have no label, no model and no
// probabilities, one below the minimum has no label; a row with an error has nothing else.
type predicted struct {
	Line          int               `json:"line"`
	Profile       string            `json:"profile"`
	Text          string            `json:"text"`
	Pair          string            `json:"pair,omitempty"`
	Label         string            `json:"label,omitempty"`
	Labels        []string          `json:"labels,omitzero"` // where labels are not exclusive
	P             *float32          `json:"p,omitempty"`
	Model         string            `json:"model,omitempty"`
	Margin        *float32          `json:"margin,omitempty"`
	Probabilities []sdk.Probability `json:"probabilities,omitempty"`
	Value         *float64          `json:"value,omitempty"`
	Source        string            `json:"source,omitempty"`
	Revision      uint64            `json:"revision"`
	Truncated     bool              `json:"truncated,omitempty"` // the text was longer than the folder's limit of tokens
	Error         string            `json:"error,omitempty"`
	Code          string            `json:"code,omitempty"`

	err error
}

var fallbacks = []string{"error", "base"}

func (a *app) predictCommand() *cobra.Command {
	var o predictFlags
	cmd := &cobra.Command{
		Use:   "predict [TEXT...]",
		Short: "Answer for profiles",
		Long: `Answer each TEXT for --profile, or read JSON lines, {"profile": "alice", "text": "…",
"pair": "…"}, and answer each in its order; lines of many profiles share a batch. A text
that the profile was taught is answered with its label; the row says so, and what the
model says. A line without a profile is answered by the base: the bare model and the
shared head. A line that fails does not stop the others; the exit code is that of the
first.`,
		Example: "  xpeft predict --profile alice \"the server is down\"\n  xpeft predict --in messages.jsonl --json",
		Args:    cobra.ArbitraryArgs,
		RunE: a.runs(func(ctx context.Context, texts []string) error {
			switch {
			case !slices.Contains(fallbacks, o.fallback):
				return usagef("--fallback is %q, want %s", o.fallback, strings.Join(fallbacks, " or "))
			case !(o.least >= 0 && o.least <= 1):
				return usagef("--min-probability is %g, want 0 to 1", o.least)
			case o.batch < 1:
				return usagef("--batch is %d, want 1 or more", o.batch)
			case o.pair != "" && len(texts) != 1:
				return usagef("--pair goes with one text")
			}
			if err := a.mustExist(); err != nil {
				return err
			}
			next, done, err := a.questions(ctx, &o, texts)
			if err != nil {
				return err
			}
			defer done()
			thresholds, err := byLabel("thresholds", o.thresholds)
			if err != nil {
				return err
			}
			return a.withFolder(ctx, o.engineFlags, true, func(p *sdk.Folder) error {
				return a.predict(ctx, p, o, thresholds, next)
			})
		}),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.in, "in", "i", "-", "file of JSON lines, if there is no TEXT; - is stdin")
	f.StringVarP(&o.profile, "profile", "p", "", "profile of the texts, and of the lines that name none")
	f.StringVar(&o.pair, "pair", "", "the second text of a pair")
	f.StringVar(&o.fallback, "fallback", "error", "for a profile that does not exist: error or base")
	f.IntVar(&o.batch, "batch", 32, "lines answered at once; 1 answers each as it comes")
	f.BoolVar(&o.noTaught, "no-taught", false, "let the model answer what the profile was taught, too")
	f.Float64Var(&o.least, "min-probability", 0,
		"no label where the most probable one has less, 0 to 1; with init --multi labels from it on; "+
			"0: the folder's, or 0.5")
	f.StringSliceVar(&o.thresholds, "thresholds", nil,
		"in a folder of init --multi, from which probability on a label is given, as in urgent=0.3,later=0.8")
	complete(cmd, "fallback", fallbacks...)
	return cmd
}

// questions returns the source of the lines to answer: the arguments, or a file.
func (a *app) questions(ctx context.Context, o *predictFlags, texts []string) (next func() (line, error), done func(),
	err error) {
	if len(texts) > 0 {
		asked := 0
		o.where = func(number int) string { return fmt.Sprintf("text %d", number) }
		return func() (line, error) {
			if asked == len(texts) {
				return line{}, io.EOF
			}
			asked++
			return line{asked, jsonl.Line{Text: texts[asked-1], Pair: o.pair, Profile: o.profile}}, nil
		}, func() {}, nil
	}
	in, err := a.openLines(ctx, o.in)
	if err != nil {
		return nil, nil, err
	}
	o.where = func(number int) string { return fmt.Sprintf("%s:%d", in.name, number) }
	if o.in == "-" && isTerminal(a.stdin) {
		o.batch = 1 // whoever types a line waits for its answer
	}
	return func() (line, error) {
		l, err := in.read1(ctx)
		if l.Profile == "" {
			l.Profile = o.profile
		}
		return l, err
	}, in.close, nil
}

// eachBatch reads up to n lines at a time. A bad line ends the input; the lines before it are
// answered.
func eachBatch(n int, next func() (line, error), f func([]line) error) error {
	for {
		var batch []line
		var err error
		for len(batch) < n && err == nil {
			var l line
			if l, err = next(); err == nil {
				batch = append(batch, l)
			}
		}
		if len(batch) > 0 {
			if err := f(batch); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// printPredicted prints a batch's answers and sends them on their way.
func (a *app) printPredicted(rows []predicted, where func(int) string, failed *rowErrors) error {
	for _, r := range rows {
		if r.err != nil {
			failed.add(r.err)
			r.Error, r.Code = oneLine(r.err.Error()), codeName(exitCode(r.err))
		}
		if r.err != nil && !a.json {
			a.stdout.Flush() // in the order of the lines
			fmt.Fprintf(a.stderr, "xpeft: %s: %s\n", plain(where(r.Line)), plain(r.Error))
			continue
		}
		if err := a.print(r, r.write); err != nil {
			return err
		}
	}
	return a.stdout.Flush()
}

// write is tab-separated: the answer first.
func (r predicted) write(w io.Writer) {
	who := r.Profile
	if r.Source == "base" {
		who = "(base)"
	}
	answer := ""
	switch {
	case r.Value != nil:
		answer = fmt.Sprintf("%.4g", *r.Value)
	case r.Labels != nil:
		answer = cmp.Or(plain(strings.Join(r.Labels, ", ")), "-")
	case r.Label == "":
		answer = "-\t" + decimals(r.probability(r.Model))
	default:
		answer = plain(r.Label) + "\t" + decimals(r.P)
	}
	fmt.Fprintf(w, "%s\t%s\t%s%s\n", answer, plain(who), plain(r.Text), r.notes())
}

func decimals(p *float32) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%.3f", *p)
}

// notes are the columns behind the text: why the answer is not the model's, and what that is; that
// the text is too long.
func (r predicted) notes() (notes string) {
	switch {
	case r.Labels != nil && r.Source != "taught":
	case r.Source == "taught" && r.Labels == nil && r.Model != r.Label:
		notes = "\t(taught; model: " + plain(r.Model) + ")"
	case r.Source == "taught":
		notes = "\t(taught)"
	case r.Value == nil && r.Label == "":
		notes = "\t(below the minimum; model: " + plain(r.Model) + ")"
	}
	if r.Truncated {
		notes += "\t(cut off)"
	}
	return notes
}

// probability of a label, nil of one that the head does not have.
func (r predicted) probability(label string) *float32 {
	for i := range r.Probabilities {
		if r.Probabilities[i].Label == label {
			return &r.Probabilities[i].P
		}
	}
	return nil
}

// predict answers batch after batch. The folder is opened to read: several processes may predict
// from it at once.
func (a *app) predict(ctx context.Context, p *sdk.Folder, f predictFlags, thresholds map[string]float64,
	next func() (line, error)) error {
	var failed rowErrors
	err := eachBatch(f.batch, next, func(batch []line) error {
		rows, err := answer(ctx, p, f, thresholds, batch)
		if err != nil {
			return err
		}
		return a.printPredicted(rows, f.where, &failed)
	})
	if err != nil {
		return err
	}
	return failed.err()
}

func answer(ctx context.Context, p *sdk.Folder, f predictFlags, thresholds map[string]float64,
	batch []line) ([]predicted, error) {
	fallback := sdk.Fallback(f.fallback)
	if f.fallback == "error" {
		fallback = sdk.FallbackError
	}
	reqs := make([]sdk.Request, len(batch))
	for i, l := range batch {
		reqs[i] = sdk.Request{Profile: l.Profile, Text: l.Text, Pair: l.Pair, Fallback: fallback,
			NoTaught: f.noTaught, MinProbability: f.least, Thresholds: thresholds, Base: l.Profile == ""}
	}
	out, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		return nil, err
	}
	rows := make([]predicted, len(batch))
	for i, l := range batch {
		rows[i] = newPredicted(l, out[i])
	}
	return rows, nil
}

func newPredicted(l line, q sdk.Prediction) predicted {
	r := predicted{Line: l.Number, Profile: l.Profile, Text: l.Text, Pair: l.Pair, err: q.Err}
	if q.Err != nil {
		return r
	}
	r.Source, r.Revision, r.Truncated = string(q.Source), q.Revision, q.Truncated
	if len(q.Probabilities) == 0 {
		r.Value = q.Value
		return r
	}
	r.Probabilities = q.Probabilities
	if r.Labels = q.Labels; r.Labels != nil {
		return r
	}
	r.Label, r.P, r.Model, r.Margin = q.Label, r.probability(q.Label), q.Model, &q.Margin
	return r
}
