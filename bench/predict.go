//go:build cgo

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

// benchPredict compares Predict of one 30-word text through a cached profile with the bare encoder's forward pass of the same text.
func benchPredict(ctx context.Context, dir string, texts []string, rounds int) error {
	tmp, err := os.MkdirTemp("", "xpeft-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	p, err := sdk.Create(tmp+"/store", sdk.Config{Model: dir, Labels: []string{"urgent", "later", "ignore"}})
	if err != nil {
		return err
	}
	defer p.Close()
	if err := learnOne(ctx, p, texts); err != nil {
		return err
	}
	engine, enc, tok, err := open(ctx, dir, torch.Config{})
	if err != nil {
		return err
	}
	defer engine.Close()
	defer enc.Close()

	text := words(texts, 30)
	bare := func() error { return forward(ctx, engine, enc, tok, text) }
	predict := func() error { _, err := p.Predict(ctx, "alice", text); return err }
	var tb, tp []time.Duration
	const each = 20
	for r := range rounds + 1 {
		b, err := timed(each, bare)
		if err != nil {
			return err
		}
		q, err := timed(each, predict)
		if err != nil {
			return err
		}
		if r > 0 { // the first round warms up
			tb, tp = append(tb, b...), append(tp, q...)
		}
	}
	bytes, allocs, err := heap(100, predict)
	if err != nil {
		return err
	}
	fmt.Printf("\npredict, one text of 30 words, cached profile\n")
	fmt.Printf("  bare encoder    %10v p50   %10v p99\n", median(tb).Round(10*time.Microsecond), quantile(tb, 0.99).Round(10*time.Microsecond))
	fmt.Printf("  Predict         %10v p50   %10v p99   %d B and %d allocations of Go heap\n", median(tp).Round(10*time.Microsecond),
		quantile(tp, 0.99).Round(10*time.Microsecond), bytes, allocs)
	fmt.Printf("  ratio           %10.3f       (promised: at most 1.10, and less than 10 kB)\n", float64(median(tp))/float64(median(tb)))
	return nil
}

func learnOne(ctx context.Context, p *sdk.SDK, texts []string) error {
	var examples []sdk.Example
	for i, label := range []string{"urgent", "later", "ignore", "urgent", "later", "ignore", "urgent", "later"} {
		examples = append(examples, sdk.Example{Text: texts[i], Label: label})
	}
	c := learner.Default()
	c.Epochs = 1
	_, err := p.Learn(ctx, "alice", examples, &sdk.LearnOptions{Config: &c})
	return err
}

// forward is the bare encoder's work for one text, from text to embedding.
func forward(ctx context.Context, engine *torch.Engine, enc *model.Encoder, tok *model.Tokenizer, text string) error {
	var e model.Encoding
	tok.Encode(&e, text, "", 128)
	b, err := model.NewBatch([]model.Encoding{e}, tok.PadID())
	if err != nil {
		return err
	}
	out := make([]float32, enc.Hidden())
	return engine.Do(ctx, func(s *torch.Scope) error { return s.ReadFloat32s(enc.Embed(s, b, nil), out) })
}

func timed(n int, f func() error) ([]time.Duration, error) {
	ts := make([]time.Duration, n)
	for i := range ts {
		began := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		ts[i] = time.Since(began)
	}
	return ts, nil
}

// heap is Go's heap per call.
func heap(n uint64, f func() error) (bytes, allocs uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		if err := f(); err != nil {
			return 0, 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / n, (after.Mallocs - before.Mallocs) / n, nil
}
