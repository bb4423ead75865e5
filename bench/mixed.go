//go:build cgo

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

// mixedRows is the size of a batch of benchMixed and benchCache.
const mixedRows = 64

// benchMixed compares PredictBatch of 64 headlines, for 64 cached profiles and for fewer, with the bare encoder's work for the same texts in the same shards.
func benchMixed(ctx context.Context, v env) (result, error) {
	r := result{Name: "mixed", X: "profiles in a batch", What: fmt.Sprintf("PredictBatch of %d headlines of P cached profiles, beside the bare encoder on the same texts, sharded alike", mixedRows)}
	dir, remove, err := fixture(ctx, v, mixedRows)
	if err != nil {
		return r, err
	}
	defer remove()
	p, err := sdk.Open(dir, nil)
	if err != nil {
		return r, err
	}
	defer p.Close()
	engine, enc, tok, err := open(ctx, v.model, torch.Config{})
	if err != nil {
		return r, err
	}
	defer engine.Close()
	defer enc.Close()
	predict := func(profiles int) func() error {
		reqs := requests(v.texts, mixedRows, 0)
		for i := range reqs {
			if reqs[i].Profile = ""; profiles > 0 {
				reqs[i].Profile = profileID(i % profiles)
			}
		}
		return func() error { return predictAll(ctx, p, reqs) }
	}
	steps := []struct {
		name string
		at   int
		f    func() error
	}{
		{"bare encoder", 0, func() error { return bareBatch(ctx, engine, enc, tok, v.texts[:mixedRows]) }}, {"no profile", 0, predict(0)},
		{"profiles", 1, predict(1)}, {"profiles", 2, predict(2)}, {"profiles", 4, predict(4)}, {"profiles", 8, predict(8)},
		{"profiles", 16, predict(16)}, {"profiles", 32, predict(32)}, {"profiles", 64, predict(64)},
	}
	for round := range v.rounds + 1 {
		for _, step := range steps {
			began := time.Now()
			if err := step.f(); err != nil {
				return r, err
			}
			rate := mixedRows / time.Since(began).Seconds()
			if round == 0 { // it warms up
				continue
			}
			if r.add(step.name, "texts/s", float64(step.at), rate); step.at == 64 {
				r.add("64 profiles", "texts/s", 0, rate)
			}
		}
	}
	r.compare("64 profiles over the bare encoder", "64 profiles", "bare encoder", "≥ 0.92")
	r.compare("no profile over the bare encoder", "no profile", "bare encoder", "")
	return r, nil
}

// bareBatch takes texts to embeddings through the encoder and nothing else: longest together, one share for each worker, as PredictBatch does.
func bareBatch(ctx context.Context, engine *torch.Engine, enc *model.Encoder, tok *model.Tokenizer, texts []string) error {
	encoded := make([]model.Encoding, len(texts))
	for i, text := range texts {
		tok.Encode(&encoded[i], text, "", fixtureTokens)
	}
	slices.SortStableFunc(encoded, func(a, b model.Encoding) int { return len(b.IDs) - len(a.IDs) })
	share := (len(texts) + engine.Workers() - 1) / engine.Workers()
	errs := make(chan error, engine.Workers())
	var all sync.WaitGroup
	for part := range slices.Chunk(encoded, share) {
		all.Add(1)
		go func() {
			defer all.Done()
			b, err := model.NewBatch(part, tok.PadID())
			if err == nil {
				out := make([]float32, len(part)*enc.Hidden())
				err = engine.Do(ctx, func(s *torch.Scope) error { return s.ReadFloat32s(enc.Embed(s, b, nil), out) })
			}
			errs <- err
		}()
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
