package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/xpeft/xpeft/sdk"
)

// observe stores line after line, waits for the background learning at the end, and says what still
// waits.
func (a *app) observe(ctx context.Context, f observeFlags, next func() (line, error)) error {
	o := a.options(f.engineFlags)
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
	p, err := sdk.Open(ctx, a.dir, o)
	if err != nil {
		return err
	}
	row, err := observeAll(ctx, p, next)
	if err := errors.Join(err, p.Close()); err != nil { // Close waits for the last OnLearned, as Drain does not
		return err
	}
	if err := a.print(row, row.text); err != nil {
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
