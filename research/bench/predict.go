package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/sdk"
)

// benchPredict compares Predict of one 30-word text through a cached profile with the bare
// encoder's forward pass of the same text.
func benchPredict(ctx context.Context, v env) (result, error) {
	r := result{Name: "predict", What: "one text of 30 words through a cached profile, beside the bare encoder"}
	dir, remove, err := fixture(ctx, v, 1)
	if err != nil {
		return r, err
	}
	defer remove()
	p, err := sdk.Open(ctx, dir, nil)
	if err != nil {
		return r, err
	}
	defer p.Close()
	s, err := open(v.model)
	if err != nil {
		return r, err
	}
	defer s.close()

	text := words(v.texts, 30)
	bare := func() error { return bareTexts(s.enc, s.tok, []string{text}, nil) }
	predict := func() error { _, err := p.Predict(ctx, profileID(0), text, nil); return err }
	const each = 20
	for round := range v.rounds + 1 {
		bareMS, err := timed(each, bare)
		if err != nil {
			return r, err
		}
		ms, err := timed(each, predict)
		if err != nil {
			return r, err
		}
		if round == 0 { // it warms up
			continue
		}
		for _, q := range []struct {
			name string
			q    float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			r.add("bare encoder "+q.name, "ms", 0, quantile(bareMS, q.q))
			r.add("Predict "+q.name, "ms", 0, quantile(ms, q.q))
		}
	}
	bytes, allocs, err := heap(100, predict)
	if err != nil {
		return r, err
	}
	r.compare("Predict over the bare encoder, p50", "Predict p50", "bare encoder p50", "≤ 1.05")
	r.Notes = append(r.Notes, fmt.Sprintf("Predict: %d B and %d allocations of Go heap (promised: less than 10 kB)",
		bytes, allocs))
	return r, nil
}

func learnOne(ctx context.Context, p *sdk.Folder, texts []string) error {
	var examples []sdk.Example
	for i, label := range []string{"urgent", "later", "ignore", "urgent", "later", "ignore", "urgent", "later"} {
		examples = append(examples, sdk.Example{Text: texts[i], Label: label})
	}
	c := learner.LastBlocks()
	c.Epochs = 1
	_, err := p.Learn(ctx, "alice", examples, &sdk.LearnOptions{Config: &c})
	return err
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
