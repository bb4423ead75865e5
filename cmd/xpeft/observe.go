package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

func (a *app) observeCommand() *cobra.Command {
	var e engineFlags
	var path, profile string
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
			if err := a.takesExamples(path); err != nil {
				return err
			}
			in, err := a.openLines(ctx, path)
			if err != nil {
				return err
			}
			defer in.close()
			return a.observe(ctx, e, func() (line, error) {
				l, err := in.read1(ctx)
				if err != nil {
					return l, err
				}
				if l.Profile == "" {
					l.Profile = profile
				}
				if err := l.check(); err != nil {
					return l, in.bad(l.Number, err)
				}
				return l, nil
			})
		}),
	}
	e.add(cmd)
	f := cmd.Flags()
	f.StringVarP(&path, "in", "i", "-", "file of JSON lines; - is stdin")
	f.StringVarP(&profile, "profile", "p", "", "profile of the lines that name none")
	return cmd
}

// observe stores line after line, waits for the background learning at the end, and says what still
// waits.
func (a *app) observe(ctx context.Context, e engineFlags, next func() (line, error)) error {
	o := a.options(e)
	var mu sync.Mutex // background learning prints too
	var failed rowErrors
	o.OnLearned = func(id string, rep *sdk.Report, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			failed.add(err)
			a.printFailed(id, err)
			return
		}
		if err := a.printLearned(rep, false); err == nil {
			_ = a.stdout.Flush() // what cannot be written is found at the end
		}
	}
	p, err := a.open(ctx, o)
	if err != nil {
		return err
	}
	row, err := observeAll(ctx, p, next)
	if err := errors.Join(err, p.Close()); err != nil { // Close waits for the last OnLearned, as Drain does not
		return err
	}
	if err := a.say(row); err != nil {
		return err
	}
	return failed.err()
}

// observeAll returns what waits when nothing is due any more.
func observeAll(ctx context.Context, p *sdk.Folder, next func() (line, error)) (row waitingRow, err error) {
	for {
		l, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return row, err
		}
		if err := p.Observe(ctx, l.Profile, l.example()); err != nil {
			return row, err
		}
	}
	if err := p.Drain(ctx); err != nil {
		return row, err
	}
	row.WaitingExamples, row.WaitingProfiles, err = p.Waiting(ctx)
	return row, err
}
