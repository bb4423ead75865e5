package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
)

// mixedRows is the size of a batch of benchMixed and benchCache.
const mixedRows = 64

// benchMixed compares PredictBatch of 64 headlines, for 64 cached profiles and for fewer, with the
// bare encoder's work for the same texts, and that with the mean states of its last four blocks.
func benchMixed(ctx context.Context, v env) (result, error) {
	r := result{Name: "mixed", X: "profiles in a batch",
		What: fmt.Sprintf("PredictBatch of %d headlines of P cached profiles, beside the bare encoder on the "+
			"same texts", mixedRows)}
	dir, remove, err := fixture(ctx, v, mixedRows)
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
	predict := func(profiles int) func() error {
		reqs := requests(v.texts, mixedRows, 0)
		for i := range reqs {
			if reqs[i].Profile = ""; profiles > 0 {
				reqs[i].Profile = profileID(i % profiles)
			}
		}
		return func() error { return predictAll(ctx, p, reqs) }
	}
	L := s.enc.Blocks()
	taps := []int{L - 3, L - 2, L - 1, L}
	steps := []struct {
		name string
		at   int
		f    func() error
	}{
		{"bare encoder", 0, func() error { return bareBatch(s.enc, s.tok, v.texts[:mixedRows], nil) }},
		{"bare encoder, four taps", 0, func() error { return bareBatch(s.enc, s.tok, v.texts[:mixedRows], taps) }},
		{"no profile", 0, predict(0)},
		{"profiles", 1, predict(1)}, {"profiles", 2, predict(2)}, {"profiles", 4, predict(4)},
		{"profiles", 8, predict(8)},
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
	r.compare("the bare encoder with four taps over itself", "bare encoder, four taps", "bare encoder", "")
	r.compare("no profile over the bare encoder", "no profile", "bare encoder", "")
	return r, nil
}

// bareBatch takes texts to embeddings through the encoder and nothing else: eight at a time, on as
// many goroutines as cores.
func bareBatch(enc *model.Encoder, tok *model.Tokenizer, texts []string, taps []int) error {
	var next atomic.Int64
	errs := make([]error, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i := range errs {
		all.Add(1)
		go func() {
			defer all.Done()
			for errs[i] == nil {
				at := int(next.Add(8)) - 8
				if at >= len(texts) {
					return
				}
				errs[i] = bareTexts(enc, tok, texts[at:min(at+8, len(texts))], taps)
			}
		}()
	}
	all.Wait()
	return errors.Join(errs...)
}

// bareTexts is one pass on the calling goroutine.
func bareTexts(enc *model.Encoder, tok *model.Tokenizer, texts []string, taps []int) error {
	encoded := make([]model.Encoding, len(texts))
	for i, text := range texts {
		tok.Encode(&encoded[i], text, "", fixtureTokens)
	}
	x := make([]float32, len(texts)*enc.Hidden())
	return enc.Answer(encoded, nil, nil, x, taps, make([]float32, len(taps)*len(x)))
}
