package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

const maxTokens = 256 // the SDK's default for this model

// baseline is what a profile is compared with: no adapters, but a linear head of each person's own
// on the bare encoder's embeddings. It uses the packages under the SDK, which offers no such thing.
type baseline struct {
	env   learner.Env
	words *model.Tokenizer
}

func openBaseline(dir string) (*baseline, error) {
	words, err := model.LoadTokenizer(dir)
	if err != nil {
		return nil, err
	}
	checkpoint, err := model.OpenCheckpoint(dir)
	if err != nil {
		return nil, err
	}
	encoder, err := model.NewEncoder(checkpoint)
	if err != nil {
		return nil, errors.Join(err, checkpoint.Close())
	}
	return &baseline{env: learner.Env{Engine: native.New(encoder), Encoder: encoder}, words: words}, nil
}

func (b *baseline) close() error { return errors.Join(b.env.Engine.Close(), b.env.Encoder.Close()) }

// bytes of one person's head: C rows of d weights and a bias, as float32.
func (b *baseline) bytes() int { return 4 * len(labels) * (b.env.Encoder.Hidden() + 1) }

// headOnly trains a head, and scores it on two other sets. Rate and epochs are those that were best
// for it, on the kept-back messages themselves, of 45 settings: 0.001 to 0.1, 10 to 100 epochs,
// three weight decays.
func (b *baseline) headOnly(ctx context.Context, train, kept, unseen []sdk.Example) (onKept, onUnseen score,
	err error) {
	d, C := b.env.Encoder.Hidden(), len(labels)
	head := &model.Head{Labels: labels, Hidden: d, W: make([]float32, C*d), B: make([]float32, C),
		Counts: make([]uint32, C)}
	config := learner.Config{Mode: learner.HeadOnly, Head: true, Epochs: 10, Batch: 16, HeadRate: 0.01, Tau: 1}
	res, err := learner.Learn(ctx, b.env, learner.Job{Head: head, Train: b.encode(train)}, config)
	if err != nil {
		return onKept, onUnseen, fmt.Errorf("baseline: %w", err)
	}
	if onKept, err = b.score(ctx, res.Head, kept); err != nil {
		return onKept, onUnseen, err
	}
	onUnseen, err = b.score(ctx, res.Head, unseen)
	return onKept, onUnseen, err
}

func (b *baseline) score(ctx context.Context, h *model.Head, examples []sdk.Example) (score, error) {
	s, err := learner.Evaluate(ctx, b.env, nil, h, nil, b.encode(examples))
	return score{right: int(s.Accuracy*float64(s.N) + 0.5), of: s.N}, err
}

func (b *baseline) encode(examples []sdk.Example) []learner.Example {
	out := make([]learner.Example, len(examples))
	for i, e := range examples {
		out[i].Class = slices.Index(labels, e.Label)
		b.words.Encode(&out[i].Text, e.Text, "", maxTokens)
	}
	return out
}
