package main

import (
	"context"

	"github.com/spf13/cobra"
)

// observeFlags say what is observed.
type observeFlags struct {
	engineFlags
	in      string
	profile string
}

func (a *app) observeCommand() *cobra.Command {
	var o observeFlags
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Store examples one by one, and learn profiles once enough are new",
		Long: `Read examples as learn does, store each as soon as it is read, and teach a profile when
enough of its examples are new. A profile that is new is served from its first example
on. The command ends when all that is due was learned; it prints a line for each
learning, and at last how many examples of the folder wait for more.`,
		Example: "  tail -f feedback.jsonl | xpeft observe --json",
		Args:    cobra.NoArgs,
		RunE: a.runs(func(ctx context.Context, _ []string) error {
			if o.in == "-" && isTerminal(a.stdin) {
				return usagef("no examples: name a file with --in, or pipe JSON lines in")
			}
			if err := a.mustExist(); err != nil {
				return err
			}
			in, err := a.openLines(ctx, o.in)
			if err != nil {
				return err
			}
			defer in.close()
			return a.observe(ctx, o, func() (line, error) {
				l, err := in.read1(ctx)
				if err != nil {
					return l, err
				}
				if l.Profile == "" {
					l.Profile = o.profile
				}
				if err := l.check(); err != nil {
					return l, in.bad(l.Number, err)
				}
				return l, nil
			})
		}),
	}
	o.add(cmd)
	o.addModel(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.in, "in", "i", "-", "file of JSON lines; - is stdin")
	f.StringVarP(&o.profile, "profile", "p", "", "profile of the lines that name none")
	return cmd
}
