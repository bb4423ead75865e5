package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

// askFlags say who is asked, out of what.
type askFlags struct {
	engineFlags
	in        string
	kept      bool
	skip      string
	profile   string
	questions int
}

// askedRow is one question.
type askedRow struct {
	Profile string `json:"profile"`
	sdk.Question
}

func (r askedRow) text(w io.Writer) { io.WriteString(w, r.Question.Text+"\n") }

func (a *app) askCommand() *cobra.Command {
	var o askFlags
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
			case o.profile == "":
				return usagef("no --profile: who is asked?")
			case o.questions < 1:
				return usagef("--questions is %d, want 1 or more", o.questions)
			case !o.kept && o.in == "-" && isTerminal(a.stdin):
				return usagef("no candidates: name a file with --in, pipe JSON lines in, or choose from --kept ones")
			case !o.kept && o.in == "-" && o.skip == "-":
				return usagef("--in and --skip cannot both be stdin")
			}
			if err := a.mustExist(); err != nil {
				return err
			}
			var texts, skipped []string
			var err error
			if !o.kept {
				if texts, err = a.texts(ctx, o.in); err != nil {
					return err
				}
			}
			if o.skip != "" {
				if skipped, err = a.texts(ctx, o.skip); err != nil {
					return err
				}
			}
			return a.withFolder(ctx, o.engineFlags, true, func(p *sdk.Folder) error {
				asked, err := p.Ask(ctx, o.profile,
					&sdk.AskOptions{Candidates: texts, N: o.questions, Skipped: skipped})
				if err != nil {
					return err
				}
				for _, q := range asked {
					if err := a.say(askedRow{o.profile, q}); err != nil {
						return err
					}
				}
				return nil
			})
		}),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.in, "in", "i", "-", "file of JSON lines; - is stdin")
	f.BoolVar(&o.kept, "kept", false, "choose from the texts that the bank keeps")
	f.StringVarP(&o.profile, "profile", "p", "", "who is asked")
	f.StringVar(&o.skip, "skip", "", "file of JSON lines: texts that the person was shown and gave no label to")
	f.IntVarP(&o.questions, "questions", "n", 3, "how many at most")
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
