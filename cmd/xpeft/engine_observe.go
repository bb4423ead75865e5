//go:build cgo

package main

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/xpeft/xpeft/sdk"
)

// observe stores line after line, and waits for the background learning at the end.
func (a *app) observe(ctx context.Context, f observeFlags, next func() (line, error)) (err error) {
	o := a.options(f.engineFlags)
	var mu sync.Mutex // background learning prints too
	o.OnLearned = func(id string, rep *sdk.Report, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			a.printFailed(id, err)
			return
		}
		row := newLearned(rep, false)
		if err := a.print(row, row.text); err == nil {
			_ = a.stdout.Flush() // what cannot be written is found at the end
		}
	}
	p, err := sdk.Open(a.dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for {
		l, err := next()
		if errors.Is(err, io.EOF) {
			return p.Drain(ctx)
		}
		if err != nil {
			return err
		}
		e := sdk.Example{Text: l.Text, Pair: l.Pair, Label: l.Label}
		if l.Value != nil {
			e.Value = *l.Value
		}
		if err := p.Observe(ctx, l.Profile, e); err != nil {
			return err
		}
	}
}
