// Triage is a complete program outside of xpeft's module: docs/embedding.md builds and ships it.
//
//	triage learn   USER < examples.jsonl    {"text": "the train is cancelled", "label": "urgent"}
//	triage predict USER TEXT
//
// XPEFT_MODEL is the encoder's folder, TRIAGE_DATA the store's (default ./triage-data).
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/xpeft/xpeft/sdk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "triage:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) (err error) {
	if len(args) < 2 {
		return errors.New("usage: triage learn USER < examples.jsonl | triage predict USER TEXT")
	}
	p, err := open(ctx, cmp.Or(os.Getenv("TRIAGE_DATA"), "triage-data"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()

	switch verb, user := args[0], args[1]; {
	case verb == "learn":
		return learn(ctx, p, user, in, out)
	case verb == "predict" && len(args) == 3:
		return predict(ctx, p, user, args[2], out)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// open opens the store, and makes it the first time.
func open(ctx context.Context, dir string) (*sdk.Folder, error) {
	if _, err := os.Stat(filepath.Join(dir, "xpeft.db")); errors.Is(err, fs.ErrNotExist) {
		return sdk.Create(ctx, dir, sdk.Config{
			Model:  os.Getenv("XPEFT_MODEL"),
			Bank:   sdk.RandomBank{N: 150, Seed: 42},
			Labels: []string{"urgent", "later", "ignore"},
		})
	}
	return sdk.Open(ctx, dir, nil)
}

func learn(ctx context.Context, p *sdk.Folder, user string, in io.Reader, out io.Writer) error {
	var examples []sdk.Example
	for dec := json.NewDecoder(in); ; {
		var e sdk.Example
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		examples = append(examples, e)
	}
	rep, err := p.Learn(ctx, user, examples, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s: revision %d, %d bytes, %s\n", user, rep.Revision, rep.Bytes, rep.Reason)
	return err
}

func predict(ctx context.Context, p *sdk.Folder, user, text string, out io.Writer) error {
	answer, err := p.Predict(ctx, user, text, &sdk.PredictOptions{Fallback: sdk.FallbackBase})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s (%s)\n", answer.Label, answer.Source)
	return err
}
