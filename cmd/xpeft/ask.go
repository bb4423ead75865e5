package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

// askedRow is one question.
type askedRow struct {
	Profile string `json:"profile"`
	sdk.Question
}

func (r askedRow) text(w io.Writer) { io.WriteString(w, r.Question.Text+"\n") }

func (a *app) askCommand() *cobra.Command {
	var e engineFlags
	var o sdk.AskOptions
	var in, skip, profile string
	var kept bool
	cmd := &cobra.Command{
		Use:   "ask",
		Short: "Choose the texts whose labels tell most about a person",
		Long: `Read candidate texts as JSON lines, {"text": "…"}, and print those whose labels would
tell most about a person's place on the axes that xpeft bank train found, the first
first. With --kept the candidates are the texts that xpeft bank train --keep-texts kept.
The profile need not exist; what it has labelled is left out, and so are the texts of
--skip. Learn or observe the answers, and ask again.`,
		Example: "  xpeft ask --profile alice --in questions.jsonl\n  xpeft ask --profile alice --kept --skip " +
			"passed.jsonl",
		Args: cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			switch {
			case profile == "":
				return usagef("no --profile: who is asked?")
			case o.N < 1:
				return usagef("--questions is %d, want 1 or more", o.N)
			case !kept && in == "-" && isTerminal(a.stdin):
				return usagef("no candidates: name a file with --in, pipe JSON lines in, or choose from --kept ones")
			case !kept && in == "-" && skip == "-":
				return usagef("--in and --skip cannot both be stdin")
			}
			if err := a.mustExist(); err != nil {
				return err
			}
			var err error
			if !kept {
				if o.Candidates, err = a.texts(ctx, in); err != nil {
					return err
				}
			}
			if skip != "" {
				if o.Skipped, err = a.texts(ctx, skip); err != nil {
					return err
				}
			}
			return a.withFolder(ctx, e, true, func(p *sdk.Folder) error {
				asked, err := p.Ask(ctx, profile, &o)
				if err != nil {
					return err
				}
				for _, q := range asked {
					if err := a.say(askedRow{profile, q}); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
	e.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&in, "in", "i", "-", "file of JSON lines; - is stdin")
	f.BoolVar(&kept, "kept", false, "choose from the texts that the bank keeps")
	f.StringVarP(&profile, "profile", "p", "", "who is asked")
	f.StringVar(&skip, "skip", "", "file of JSON lines: texts that the person was shown and gave no label to")
	f.IntVarP(&o.N, "questions", "n", 3, "how many at most")
	cmd.MarkFlagsMutuallyExclusive("in", "kept")
	return cmd
}

// texts reads those of all lines; none are not nil.
func (a *app) texts(ctx context.Context, path string) (texts []string, err error) {
	texts = []string{}
	in, err := a.openLines(ctx, path)
	if err != nil {
		return nil, err
	}
	defer in.close()
	for {
		l, err := in.read1(ctx)
		if err == io.EOF {
			return texts, nil
		}
		if err != nil {
			return nil, err
		}
		texts = append(texts, l.Text)
	}
}
