package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/sdk"
)

func (a *app) moveCommand() *cobra.Command {
	var e engineFlags
	var o sdk.MoveOptions
	cmd := &cobra.Command{
		Use:   "move --model NEW OUT",
		Short: "Learn everybody anew for another model, in a folder beside this one",
		Long: "Make the folder OUT for another model and learn everybody anew there, from the examples that are\n" +
			"stored here. This folder is only read. Ended anywhere, it goes on when it is called again, and takes\n" +
			"over what was learned and forgotten since. To switch, open OUT.",
		Example: "  xpeft move --model multilingual-e5-small moved",
		Args:    cobra.ExactArgs(1),
		RunE: a.runs(func(ctx context.Context, args []string) error {
			if err := a.mustExist(); err != nil {
				return err
			}
			if o.Model == "" {
				return usagef("move needs --model: the folder of the new model")
			}
			o.Options = a.options(e)
			o.Options.Model = "" // the old one's
			return a.withFolder(ctx, e, true, func(p *sdk.Folder) error { return a.move(ctx, p, args[0], &o) })
		}),
	}
	e.addEngine(cmd)
	f := cmd.Flags()
	f.StringVar(&o.Model, "model", "", "folder of the new model")
	f.StringVar(&e.Model, "old-model", "", "folder of the old model, if it moved since init")
	f.IntVar(&o.MaxTokens, "max-tokens", 0, "longest text in tokens under the new model; 0: as for init")
	f.IntVar(&o.Windows, "windows", 0, "windows of a longer text under the new model; 0: 1")
	return cmd
}

func (a *app) move(ctx context.Context, p *sdk.Folder, out string, o *sdk.MoveOptions) error {
	var failed rowErrors
	for m, err := range p.Move(ctx, out, o) {
		if cause := context.Cause(ctx); cause != nil && err != nil {
			return cause
		}
		var of *sdk.ProfileError
		switch {
		case errors.As(err, &of):
			failed.add(err)
			a.printFailed(of.ID, err)
			continue
		case err != nil:
			return err
		}
		if err := errors.Join(a.print(m, func(w io.Writer) { movedLine(w, m) }), a.stdout.Flush()); err != nil {
			return err
		}
	}
	return failed.err()
}

func movedLine(w io.Writer, m *sdk.MovedProfile) {
	if !m.Moved {
		fmt.Fprintf(w, "%s: stays behind: %s\n", plain(m.Profile), plain(m.Reason))
		return
	}
	right := func(v *float32) string {
		if v == nil {
			return "not measured"
		}
		return fmt.Sprintf("%.3f right", *v)
	}
	fmt.Fprintf(w, "%s: moved: %d examples, %s before, %s after, %d bytes; %s\n", plain(m.Profile), m.Examples,
		right(m.Before), right(m.After), m.Bytes, plain(m.Reason))
}
