package native

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/enginetest"
	"github.com/xpeft/xpeft/model"
)

// longTexts are more tokens than a shard has, in texts of 1 to 90.
func longTexts(rng *rand.Rand) []model.Encoding {
	texts := make([]model.Encoding, 30)
	for i := range texts {
		n := 1 + (i*37)%90
		texts[i] = model.Encoding{IDs: make([]int32, n), TypeIDs: make([]int32, n)}
		for k := range n {
			texts[i].IDs[k] = rng.Int32N(30000)
		}
	}
	return texts
}

// TestEmbed: on any number of threads the engine gives the encoder's own bits, with and without
// stems, of which it computes those that are missing.
func TestEmbed(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	rng, ctx, d := rand.New(rand.NewPCG(1, 2)), context.Background(), enc.Hidden()
	texts, k := longTexts(rng), kinds()[15]
	adapters := []*model.Adapter{k.adapter(rng, d, 8), nil, k.adapter(rng, d, 24)}
	r := engine.Rows{Texts: texts, From: enc.Blocks() - 1}
	for i := range texts {
		r.Owner = append(r.Owner, i%3)
	}
	n, taps := len(texts), []int{1, enc.Blocks()}
	wantX, wantStates := make([]float32, n*d), make([]float32, 2*n*d)
	stems, err := enc.Stems(texts, r.From, nil, nil)
	if err == nil {
		err = enc.Embed(texts, r.Owner, adapters, wantX, taps, wantStates)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, threads := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(threads)
		e := New(enc)
		below := make([]float32, n*d)
		got, err := e.Stems(ctx, texts, r.From, taps[:1], below)
		if err != nil || !slices.EqualFunc(got, stems, slices.Equal[[]float32]) {
			t.Fatalf("%d threads: other stems than the encoder's (%v)", threads, err)
		}
		x, states := make([]float32, n*d), make([]float32, 2*n*d)
		if err := e.Embed(ctx, r, adapters, x, taps, states); err != nil || !slices.Equal(x, wantX) ||
			!slices.Equal(states, wantStates) {
			t.Fatalf("%d threads: other embeddings or states than the encoder's (%v)", threads, err)
		}
		upper := r
		upper.Stems = slices.Clone(stems)
		upper.Stems[0], upper.Stems[7] = nil, nil
		clear(x)
		above := make([]float32, n*d)
		if err := e.Embed(ctx, upper, adapters, x, taps[1:], above); err != nil || !slices.Equal(x, wantX) {
			t.Fatalf("%d threads: stems give other embeddings (%v)", threads, err)
		}
		for i := range n {
			if !slices.Equal(slices.Concat(below[i*d:(i+1)*d], above[i*d:(i+1)*d]), wantStates[2*i*d:2*(i+1)*d]) {
				t.Fatalf("%d threads: stems give other states of text %d", threads, i)
			}
		}
	}
}

// TestEmbedOwners: no owners are the first adapter, no adapters the bare encoder.
func TestEmbedOwners(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	rng, ctx, d := rand.New(rand.NewPCG(1, 2)), context.Background(), enc.Hidden()
	texts := longTexts(rng)[:3]
	a := kinds()[4].adapter(rng, d, 8)
	for name, adapters := range map[string][]*model.Adapter{"one adapter": {a}, "bare": nil} {
		got, want := make([]float32, 3*d), make([]float32, 3*d)
		var owner []int
		if adapters != nil {
			owner = []int{0, 0, 0}
		}
		if err := enc.Embed(texts, owner, adapters, want, nil, nil); err != nil {
			t.Fatal(err)
		}
		if err := New(enc).Embed(ctx, engine.Rows{Texts: texts}, adapters, got, nil, nil); err != nil ||
			!slices.Equal(got, want) {
			t.Errorf("%s: other embeddings than the encoder's (%v)", name, err)
		}
	}
}

// TestErrors: a bad text, a size that does not fit and an ended context are errors.
func TestErrors(t *testing.T) {
	enc := enginetest.Encoder(t, model.PoolMean)
	ctx, d := context.Background(), enc.Hidden()
	texts := longTexts(rand.New(rand.NewPCG(1, 2)))
	e, x := New(enc), make([]float32, len(texts)*d)
	if err := e.Embed(ctx, engine.Rows{Texts: texts}, nil, x[1:], nil, nil); err == nil {
		t.Error("too few values: got no error")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := e.Embed(ended, engine.Rows{Texts: texts}, nil, x, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	texts[20].IDs[0] = 1 << 30
	if err := e.Embed(ctx, engine.Rows{Texts: texts}, nil, x, nil, nil); err == nil {
		t.Error("a token that the model does not have: got no error")
	}
	if _, err := e.Stems(ctx, texts, 0, nil, nil); err == nil {
		t.Error("stems of a token that the model does not have: got no error")
	}
	if stems, err := e.Stems(ctx, nil, 0, nil, nil); err != nil || len(stems) != 0 {
		t.Errorf("no texts: got %d stems, %v", len(stems), err)
	}
}
