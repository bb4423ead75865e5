package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// learnFlags say how a profile learns.
type learnFlags struct {
	sdk.LearnOptions
	epochs  int
	seed    uint64
	losses  bool
	weights []string
}

func (a *app) learnCommand() *cobra.Command {
	var e engineFlags
	var o learnFlags
	var path, profile string
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "Learn profiles from examples",
		Long: `Read examples as JSON lines, {"profile": "alice", "text": "…", "pair": "…", "label":
"…"}, and learn each profile that they name, in the order of their first lines. Numbers
are learned with "value" instead of "label", and in a folder of init --multi sets with
"labels": ["…"], [] for none; "rejected": true says that a text is not of its label, and
"weight" how much the line counts beside others. All lines are read
before the first profile learns: a bad line changes nothing. A profile that fails does
not stop the others. Learning again takes the stored examples with it.`,
		Example: "  xpeft learn --in examples.jsonl\n  jq -c 'select(.stars)' reviews.jsonl | xpeft learn " +
			"--profile alice --json",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if err := a.takesExamples(path); err != nil {
				return err
			}
			groups, err := a.readExamples(ctx, path, profile)
			if err != nil {
				return err
			}
			return a.withFolder(ctx, e, false, func(p *sdk.Folder) error { return a.learn(ctx, p, o, groups) })
		}),
	}
	e.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&path, "in", "i", "-", "file of JSON lines; - is stdin")
	f.StringVarP(&profile, "profile", "p", "", "profile of the lines that name none")
	f.StringVar((*string)(&o.Head), "head", "",
		"shared, own or number; default: what the profile has, shared for a new one")
	f.StringSliceVar(&o.Labels, "labels", nil, "the profile's own label set, which gives it an own head")
	f.BoolVar(&o.AddLabels, "add-labels", false, "let examples bring labels that the profile's head does not have")
	f.BoolVar(&o.DropExamples, "drop-examples", false, "store none of the examples, and erase those that are stored")
	f.BoolVar(&o.Force, "force", false, "install what was learned whatever its score")
	f.StringSliceVar(&o.weights, "class-weights", nil,
		"how much a label's examples count beside the others', as in urgent=3,later=1")
	f.StringVar((*string)(&o.Effort), "effort", "", "fast or thorough; default: between them")
	f.IntVar(&o.epochs, "epochs", 0, "times that each example is learned from; 0: the default")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the training")
	f.BoolVar(&o.losses, "losses", false, "with the loss of each step in the JSON")
	complete(cmd, "head", "shared", "own", "number")
	complete(cmd, "effort", "fast", "thorough")
	return cmd
}

// group is one profile's examples.
type group struct {
	profile string
	lines   []line
	numbers bool // they have values, not labels
}

// readExamples reads all lines and sorts them by profile, in the order of the profiles' first
// lines.
func (a *app) readExamples(ctx context.Context, path, profile string) ([]*group, error) {
	in, err := a.openLines(ctx, path)
	if err != nil {
		return nil, err
	}
	defer in.close()
	var groups []*group
	byProfile := map[string]*group{}
	for {
		l, err := in.read1(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if l.Profile == "" {
			l.Profile = profile
		}
		g := byProfile[l.Profile]
		if g == nil {
			g = &group{profile: l.Profile, numbers: l.Value != nil}
			groups, byProfile[l.Profile] = append(groups, g), g
		}
		if err := g.check(l); err != nil {
			return nil, in.bad(l.Number, err)
		}
		g.lines = append(g.lines, l)
	}
	if len(groups) == 0 {
		return nil, in.bad(1, errors.New("no examples"))
	}
	return groups, nil
}

func (g *group) check(l line) error {
	if err := l.check(); err != nil {
		return err
	}
	if g.numbers != (l.Value != nil) {
		return fmt.Errorf("profile %q has labels and values: it can learn one of the two", g.profile)
	}
	return nil
}

// printLearned prints the report of one profile's learn, in JSON with the losses if they were asked
// for.
func (a *app) printLearned(rep *sdk.Report, losses bool) error {
	row := *rep
	if !losses {
		row.Losses = nil
	}
	return a.print(row, func(w io.Writer) { writeLearned(w, row) })
}

func writeLearned(w io.Writer, l sdk.Report) {
	verdict := "kept its old revision"
	if l.Installed {
		verdict = "learned"
	}
	fmt.Fprintf(w, "%s: %s: revision %d, %s\n", plain(l.Profile), verdict, l.Revision, plain(l.Reason))
	fmt.Fprintf(w, "  accuracy %s before, %s after, on %s out of fold\n", accuracy(l.Before), accuracy(l.After),
		count(l.After.N, "example"))
	for _, r := range l.Labels {
		fmt.Fprintf(w, "    %-24s %4d  recall %.2f  precision %.2f\n", plain(r.Label), r.N, r.Recall, r.Precision)
	}
	switch {
	case l.Sure.P > 0:
		fmt.Fprintf(w, "  95 of 100 answers are right from a probability of %.2f on\n", l.Sure.P)
	case l.Sure.Need > 0:
		fmt.Fprintf(w, "  not enough examples to say from which probability on 95 of 100 answers are right: %d "+
			"of %d\n", l.Sure.N, l.Sure.Need)
	}
	steps := ""
	if l.Steps > 0 {
		steps = fmt.Sprintf(", %d steps", l.Steps)
	}
	fmt.Fprintf(w, "  %s%s in %.1f s, %d bytes, of which digits or masks %d\n", count(l.Examples, "example"), steps,
		l.Seconds, l.Bytes, l.MaskBytes)
	if l.Prequential.N > 0 {
		fmt.Fprintf(w, "  prequential accuracy %s\n", prequential(folder.Prequential(l.Prequential)))
	}
	if l.Waiting > 0 {
		fmt.Fprintf(w, "  waiting for the next training: %s\n", count(l.Waiting, "example"))
	}
	if l.Unknown > 0 {
		fmt.Fprintf(w, "  %.1f %% of their tokens are unknown to the model\n", 100*l.Unknown)
	}
	if l.Truncated > 0 {
		fmt.Fprintf(w, "  %s longer than the folder's limit of tokens: only the beginning was read\n",
			count(l.Truncated, "example"))
	}
}

func accuracy(s sdk.Score) string {
	if s.N == 0 {
		return "not measured"
	}
	return fmt.Sprintf("%.3f", s.Accuracy)
}

// learn learns profile after profile. One that fails does not stop the others; a signal does.
func (a *app) learn(ctx context.Context, p *sdk.Folder, f learnFlags, groups []*group) error {
	var failed rowErrors
	for _, g := range groups {
		rep, err := a.learnOne(ctx, p, f, g)
		if cause := context.Cause(ctx); cause != nil && err != nil {
			return cause
		}
		if err != nil && len(groups) == 1 {
			return err
		}
		if err != nil {
			failed.add(err)
			a.printFailed(g.profile, err)
			continue
		}
		if err := a.printLearned(rep, f.losses); err != nil {
			return err
		}
		if err := a.stdout.Flush(); err != nil {
			return err
		}
	}
	return failed.err()
}

func (a *app) learnOne(ctx context.Context, p *sdk.Folder, f learnFlags, g *group) (*sdk.Report, error) {
	progress := a.newBar(-1, g.profile)
	defer progress.done()
	o := f.LearnOptions
	o.Progress = progress.step
	var err error
	if o.ClassWeights, err = byLabel("class-weights", f.weights); err != nil {
		return nil, err
	}
	if g.numbers && o.Head == "" {
		o.Head = sdk.NumberHead
	}
	if f.epochs != 0 || f.seed != 0 {
		c, _ := learner.Default().With(o.Effort) // the sdk refuses a bad one
		c.Seed = f.seed
		if f.epochs != 0 {
			c.Epochs = f.epochs
		}
		c.K = 0 // the folder's
		o.Config = &c
	}
	examples := make([]sdk.Example, len(g.lines))
	for i, l := range g.lines {
		examples[i] = l.example()
	}
	return p.Learn(ctx, g.profile, examples, &o)
}

// example is a line as the sdk takes it.
func (l line) example() sdk.Example {
	e := sdk.Example{Text: l.Text, Pair: l.Pair, Label: l.Label, Labels: l.Labels, Value: l.Value, Rejected: l.Rejected}
	if l.Weight != nil {
		e.Weight = *l.Weight
	}
	return e
}

// byLabel reads label=number of each value of a flag.
func byLabel(flag string, values []string) (map[string]float64, error) {
	out := make(map[string]float64, len(values))
	for _, given := range values {
		at := strings.LastIndexByte(given, '=')
		v, err := strconv.ParseFloat(given[at+1:], 64)
		if at < 0 || err != nil {
			return nil, usagef("--%s: %q is no label=number", flag, given)
		}
		out[given[:at]] = v
	}
	return out, nil
}
