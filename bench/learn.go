//go:build cgo

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// benchLearn compares a training step of masks over N=400 adapters with one of a single adapter: the same 16 texts, engine and process.
func benchLearn(ctx context.Context, dir string, texts []string, rounds int) error {
	const batch, maxTokens = 16, 64
	engine, enc, tok, err := open(ctx, dir, torch.Config{Workers: 1})
	if err != nil {
		return err
	}
	defer engine.Close()
	defer enc.Close()
	d := enc.Hidden()
	b, err := bank.NewRandom(bank.Properties{Origin: bank.Random, N: 400, Blocks: enc.Blocks(), Hidden: d, Bottleneck: d / 16, NormB: true,
		Seed: 42, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
	if err != nil {
		return err
	}
	defer b.Close()
	job := learner.Job{Head: head(15, d)}
	tokens := 0
	for i := range batch {
		var e learner.Example
		tok.Encode(&e.Text, texts[i], "", maxTokens)
		e.Class = i % 15
		tokens += len(e.Text.IDs)
		job.Train = append(job.Train, e)
	}
	c := learner.Default()
	c.Epochs, c.Head = 4, true
	c.Batch = batch
	single := c
	single.Mode = learner.SingleAdapter
	steps := map[learner.Mode][]time.Duration{}
	env := learner.Env{Engine: engine, Encoder: enc, Bank: b}
	for range rounds {
		for _, c := range []learner.Config{c, single} {
			ts, err := stepTimes(ctx, env, job, c)
			if err != nil {
				return err
			}
			steps[c.Mode] = append(steps[c.Mode], ts...)
		}
	}
	masks, adapter := steps[learner.Masks], steps[learner.SingleAdapter]
	fmt.Printf("\nlearn step, %d texts of %d tokens in all, T ≤ %d (hard masks: N=400, k=50, LN_b's affine and the head trained)\n", batch, tokens, maxTokens)
	fmt.Printf("  x_peft          %10v   (%s)\n", median(masks).Round(10*time.Microsecond), spread(masks))
	fmt.Printf("  single adapter  %10v   (%s)\n", median(adapter).Round(10*time.Microsecond), spread(adapter))
	fmt.Printf("  ratio           %10.2f   (promised: at most 1.3; the paper's own code: 31)\n", float64(median(masks))/float64(median(adapter)))
	return nil
}

// stepTimes are those of one run's steps, without its first: that one also warms up.
func stepTimes(ctx context.Context, env learner.Env, j learner.Job, c learner.Config) (ts []time.Duration, err error) {
	var last time.Time
	c.Progress = func(learner.Progress) {
		now := time.Now()
		if !last.IsZero() {
			ts = append(ts, now.Sub(last))
		}
		last = now
	}
	_, err = learner.Learn(ctx, env, j, c)
	return ts, err
}

func head(labels, d int) *model.Head {
	h := &model.Head{Hidden: d, W: make([]float32, labels*d), B: make([]float32, labels), Counts: make([]uint32, labels)}
	for i := range labels {
		h.Labels = append(h.Labels, fmt.Sprint("label ", i))
	}
	return h
}

func open(ctx context.Context, dir string, c torch.Config) (*torch.Engine, *model.Encoder, *model.Tokenizer, error) {
	ckpt, err := model.OpenCheckpoint(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	engine, err := torch.Open(c)
	if err != nil {
		return nil, nil, nil, err
	}
	enc, err := model.NewEncoder(ctx, engine, ckpt)
	return engine, enc, tok, err
}
