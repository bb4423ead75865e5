package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/internal/engine/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// learnN is the bank's size where a step is compared with a single adapter's; learnCurve are the
// others.
const learnN = 400

var learnCurve = []int{100, 200, learnN, 800}

// benchLearn compares a training step of masks over N=400 adapters with one of a single adapter,
// and draws a step over N: the same 16 texts, engine and process.
func benchLearn(ctx context.Context, v env) (result, error) {
	r := result{Name: "learn"}
	s, err := open(v.model)
	if err != nil {
		return r, err
	}
	defer s.close()
	c := learner.Default()
	c.Head, c.Batch, c.Epochs = true, 16, 4
	job, tokens := learner.Job{Head: head(15, s.enc.Hidden()), Train: encoded(s.tok, v.texts, 0, c.Batch)}, 0
	for _, e := range job.Train {
		tokens += len(e.Text.IDs)
	}
	single := c
	single.Mode = learner.SingleAdapter
	r.What = fmt.Sprintf("a training step, %d texts of %d tokens in all, T ≤ %d; hard masks: k=50, LN_b's affine "+
		"and the head trained; %s", c.Batch, tokens, learnTokens, s.where())
	envs := map[int]learner.Env{}
	for _, n := range learnCurve {
		b, err := learnBank(n, s.engine.Trains(), s.enc.Hidden())
		if err != nil {
			return r, err
		}
		defer b.Close()
		envs[n] = s.env(b)
	}
	for range v.rounds {
		for _, n := range learnCurve {
			ms, err := stepTimes(ctx, envs[n], job, c)
			if err != nil {
				return r, err
			}
			r.add("Learn step over N", "ms", float64(n), quantile(ms, 0.5))
			if n != learnN {
				continue
			}
			r.add(string(learner.Masks), "ms", 0, quantile(ms, 0.5))
			if ms, err = stepTimes(ctx, envs[n], job, single); err != nil {
				return r, err
			}
			r.add(string(learner.SingleAdapter), "ms", 0, quantile(ms, 0.5))
		}
	}
	r.compare("x_peft at N=400 over a single adapter", string(learner.Masks), string(learner.SingleAdapter), "≤ 1.10")
	return r, nil
}

// learnBank is a random bank with a bottleneck of d/16.
func learnBank(n, blocks, d int) (*bank.Bank, error) {
	return bank.NewRandom(bank.Properties{Origin: bank.Random, N: n, Blocks: blocks, Hidden: d, Bottleneck: d / 16,
		NormB: true,
		Seed:  42, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
}

// learnTokens is the longest text that is learned here.
const learnTokens = 64

// encoded are n texts from at on, with 15 labels in turn.
func encoded(tok *model.Tokenizer, texts []string, at, n int) []learner.Example {
	out := make([]learner.Example, n)
	for i := range out {
		tok.Encode(&out[i].Text, texts[(at+i)%len(texts)], "", learnTokens)
		out[i].Class = i % 15
	}
	return out
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
	h := &model.Head{Hidden: d, W: make([]float32, labels*d), B: make([]float32, labels),
		Counts: make([]uint32, labels)}
	for i := range labels {
		h.Labels = append(h.Labels, fmt.Sprint("label ", i))
	}
	return h
}

// side is a model under the engine of this build, without a store.
type side struct {
	engine engine.Engine
	enc    *model.Encoder
	tok    *model.Tokenizer
}

func open(dir string) (s side, err error) {
	c, err := model.OpenCheckpoint(dir)
	if err != nil {
		return s, err
	}
	if s.enc, err = model.NewEncoder(c); err != nil {
		return s, errors.Join(err, c.Close())
	}
	if s.tok, err = model.LoadTokenizer(dir); err == nil {
		if s.engine = native.New(s.enc); torch.Built {
			s.engine, err = torch.Open(s.enc, torch.Config{})
		}
	}
	if err != nil {
		err = errors.Join(err, s.enc.Close())
	}
	return s, err
}

func (s side) close() error { return errors.Join(s.engine.Close(), s.enc.Close()) }

func (s side) env(b *bank.Bank) learner.Env {
	return learner.Env{Engine: s.engine, Encoder: s.enc, Bank: b}
}

// where names the blocks that the engine trains, all or the last ones, and the engine.
func (s side) where() string {
	if n := s.engine.Trains(); n < s.enc.Blocks() {
		return fmt.Sprintf("adapters in the last %d of %d blocks, engine %s", n, s.enc.Blocks(), s.engine.Name())
	}
	return fmt.Sprintf("adapters in all blocks, engine %s on %s", s.engine.Name(), s.engine.Device())
}
