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
func benchLearn(ctx context.Context, v env) (result, error) {
	r := result{Name: "learn"}
	const batch, maxTokens = 16, 64
	engine, enc, tok, err := open(ctx, v.model, torch.Config{Workers: 1})
	if err != nil {
		return r, err
	}
	defer engine.Close()
	defer enc.Close()
	d := enc.Hidden()
	b, err := bank.NewRandom(bank.Properties{Origin: bank.Random, N: 400, Blocks: enc.Blocks(), Hidden: d, Bottleneck: d / 16, NormB: true,
		Seed: 42, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
	if err != nil {
		return r, err
	}
	defer b.Close()
	job := learner.Job{Head: head(15, d)}
	tokens := 0
	for i := range batch {
		var e learner.Example
		tok.Encode(&e.Text, v.texts[i], "", maxTokens)
		e.Class = i % 15
		tokens += len(e.Text.IDs)
		job.Train = append(job.Train, e)
	}
	c := learner.Default()
	c.Epochs, c.Head = 4, true
	c.Batch = batch
	single := c
	single.Mode = learner.SingleAdapter
	r.What = fmt.Sprintf("a training step, %d texts of %d tokens in all, T ≤ %d; hard masks: N=400, k=50, LN_b's affine and the head trained", batch, tokens, maxTokens)
	env := learner.Env{Engine: engine, Encoder: enc, Bank: b}
	for range v.rounds {
		for _, c := range []learner.Config{c, single} {
			ms, err := stepTimes(ctx, env, job, c)
			if err != nil {
				return r, err
			}
			r.add(string(c.Mode), "ms", 0, quantile(ms, 0.5))
		}
	}
	r.compare("x_peft over a single adapter", string(learner.Masks), string(learner.SingleAdapter), "≤ 1.10")
	return r, nil
}

// stepTimes are those of one run's steps, without its first: that one also warms up.
func stepTimes(ctx context.Context, env learner.Env, j learner.Job, c learner.Config) (ms []float64, err error) {
	var last time.Time
	c.Progress = func(learner.Progress) {
		now := time.Now()
		if !last.IsZero() {
			ms = append(ms, now.Sub(last).Seconds()*1e3)
		}
		last = now
	}
	_, err = learner.Learn(ctx, env, j, c)
	return ms, err
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
