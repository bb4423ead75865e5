package main

import (
	"context"
	"time"

	"github.com/xpeft/xpeft/learner"
)

// benchLearn60 times a whole Learn of 60 texts for 10 epochs in batches of 16, tokenising included:
// masks in the blocks that the engine trains, LN_b's affine and a head of its own, in the order in
// which examples come, and with batches of alike lengths.
func benchLearn60(ctx context.Context, v env) (result, error) {
	r := result{Name: "learn60", What: "60 texts × 10 epochs in batches of 16, T ≤ 64, from text to mask; hard " +
		"masks, N=150, k=50, LN_b's affine and a head"}
	s, err := open(v.model)
	if err != nil {
		return r, err
	}
	defer s.close()
	r.What += "; " + s.where()
	b, err := learnBank(150, s.engine.Trains(), s.enc.Hidden())
	if err != nil {
		return r, err
	}
	defer b.Close()
	plain := learner.Default()
	plain.Head, plain.Batch, plain.Epochs = true, 16, 10
	alike, single := plain, plain
	alike.LengthBuckets, single.Mode = 4, learner.SingleAdapter
	orders := []struct {
		name   string
		config learner.Config
	}{{"Learn 60 texts x 10 epochs", plain}, {"Learn 60 texts x 10 epochs, alike lengths together", alike},
		{"a single adapter, 60 texts x 10 epochs", single}}
	rounds := v.rounds
	if !v.full {
		rounds = min(rounds, 3) // half a minute each
	}
	for range rounds {
		for _, o := range orders {
			began := time.Now()
			j := learner.Job{Head: head(15, s.enc.Hidden()), Train: encoded(s.tok, v.texts, 0, 60)}
			if _, err := learner.Learn(ctx, s.env(b), j, o.config); err != nil {
				return r, err
			}
			r.add(o.name, "s", 0, time.Since(began).Seconds())
		}
	}
	return r, nil
}
