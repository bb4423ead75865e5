package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// askFlags say who is asked, out of what.
type askFlags struct {
	engineFlags
	in        string
	profile   string
	questions int
}

// askedRow is one question.
type askedRow struct {
	Profile string   `json:"profile"`
	Text    string   `json:"text"`
	Labels  []string `json:"labels"`
}

func (r askedRow) text(w io.Writer) { io.WriteString(w, r.Text+"\n") }

func (a *app) askCommand() *cobra.Command {
	var o askFlags
	cmd := &cobra.Command{
		Use:   "ask",
		Short: "Choose the texts whose labels tell most about a person",
		Long: `Read candidate texts as JSON lines, {"text": "…"}, and print those whose labels would tell most about a person's place on the axes that xpeft bank train found, the first
first. The profile need not exist; what it has labelled is left out. Learn or observe the answers, and ask again.`,
		Example: "  xpeft ask --profile alice --in questions.jsonl",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			switch {
			case o.profile == "":
				return usagef("no --profile: who is asked?")
			case o.questions < 1:
				return usagef("--questions is %d, want 1 or more", o.questions)
			case o.in == "-" && isTerminal(a.stdin):
				return usagef("no candidates: name a file with --in, or pipe JSON lines in")
			}
			if err := a.mustExist(); err != nil {
				return err
			}
			texts, err := a.candidates(ctx, o.in)
			if err != nil {
				return err
			}
			return a.ask(ctx, o, texts)
		}),
	}
	o.add(cmd)
	o.addMoved(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.in, "in", "i", "-", "file of JSON lines; - is stdin")
	f.StringVarP(&o.profile, "profile", "p", "", "who is asked")
	f.IntVarP(&o.questions, "questions", "n", 3, "how many at most")
	return cmd
}

// candidates reads the texts of all lines.
func (a *app) candidates(ctx context.Context, path string) (texts []string, err error) {
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
