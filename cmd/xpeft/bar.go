package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar shows progress on stderr if that is a terminal, and nothing otherwise. A nil bar is silent.
type bar struct {
	*progressbar.ProgressBar
	what string
}

// newBar counts to total; -1 is unknown.
func (a *app) newBar(total int, what string) *bar {
	return a.startBar(int64(total), what, progressbar.OptionShowCount())
}

// newByteBar counts bytes.
func (a *app) newByteBar(total int64, what string) *bar {
	return a.startBar(total, what, progressbar.OptionShowBytes(true))
}

func (a *app) startBar(total int64, what string, o progressbar.Option) *bar {
	if !isTerminal(a.stderr) {
		return nil
	}
	what = plain(what)
	return &bar{progressbar.NewOptions64(total, o,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(24),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	), what}
}

// done clears the line, so that what follows starts at its beginning.
func (b *bar) done() {
	if b != nil {
		b.Clear()
	}
}

// reader and writer count what passes.
func (b *bar) reader(r io.Reader) io.Reader {
	if b == nil {
		return r
	}
	return io.TeeReader(r, b)
}

func (b *bar) writer(w io.Writer) io.Writer {
	if b == nil {
		return w
	}
	return io.MultiWriter(w, b)
}

// step shows a training step; the first says how many there are.
func (b *bar) step(step, steps int, loss float32) {
	if b == nil {
		return
	}
	b.ChangeMax(steps)
	b.Describe(fmt.Sprintf("%s loss %.3f", b.what, loss))
	b.Set(step)
}
