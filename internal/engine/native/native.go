// Package native is the default engine. It needs no library: states and embeddings come from the
// encoder's own kernels, and the gradient of an adapter in the last block from formulas, which
// block.go has in the order of the paper.
//
// # Concurrency
//
// An engine is safe for concurrent use. A call runs on as many goroutines as Go has threads.
//
// # Reproducibility
//
// A text's states do not depend on the texts beside it, and gradients are summed in the order of
// the rows: the same rows give the same bits on any number of threads.
package native

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

type native struct {
	enc     *model.Encoder
	scratch sync.Pool // of *scratch
	parts   sync.Pool // of *model.Adapter: rows' gradients that were added to others
}

// Blocks is in how many of an encoder's last blocks the engine trains an adapter.
const Blocks = 1

// New is the native engine of an encoder. Close does not close the encoder.
func New(enc *model.Encoder) engine.Engine { return &native{enc: enc} }

func (*native) Name() string    { return "native" }
func (*native) Device() string  { return "cpu" }
func (*native) Trains() int     { return Blocks }
func (*native) TrainsLoRA() int { return 0 } // its gradient goes through attention
func (*native) Close() error    { return nil }

func (n *native) Stems(ctx context.Context, texts []model.Encoding, from int, taps []int,
	states []float32) ([][]float32, error) {
	stems, width := make([][]float32, len(texts)), len(taps)*n.enc.Hidden()
	if len(states) != len(texts)*width {
		return nil, fmt.Errorf("native: %d values of %d taps for %d texts", len(states), len(taps), len(texts))
	}
	err := n.shards(ctx, texts, func(lo, hi int) error {
		some, err := n.enc.Stems(texts[lo:hi], from, taps, states[lo*width:hi*width])
		copy(stems[lo:hi], some)
		return err
	})
	if err != nil {
		return nil, err
	}
	return stems, nil
}

func (n *native) Embed(ctx context.Context, r engine.Rows, adapters []*model.Adapter, x []float32, taps []int,
	states []float32) error {
	d := n.enc.Hidden()
	owner, err := r.Check(n.Name(), len(adapters), d)
	if err != nil {
		return err
	}
	if len(x) != len(r.Texts)*d || len(states) != len(taps)*len(x) {
		return fmt.Errorf("native: %d values and %d of %d taps for %d texts", len(x), len(states), len(taps),
			len(r.Texts))
	}
	var stems [][]float32
	if r.Stems != nil && r.From >= 0 && (len(taps) == 0 || taps[0] > r.From) {
		if stems, err = r.Filled(ctx, n); err != nil {
			return err
		}
	}
	return n.shards(ctx, r.Texts, func(lo, hi int) error {
		var whose []int
		if owner != nil {
			whose = owner[lo:hi]
		}
		x, states := x[lo*d:hi*d], states[lo*d*len(taps):hi*d*len(taps)]
		if stems != nil {
			return n.enc.Upper(r.Texts[lo:hi], stems[lo:hi], r.From, whose, adapters, x, taps, states)
		}
		return n.enc.Embed(r.Texts[lo:hi], whose, adapters, x, taps, states)
	})
}

// A shard has so many tokens, or one text: many enough that the encoder's weights are read for
// many tokens at once, and few enough that a call ends soon after its context.
const (
	fewTokens  = 64
	manyTokens = 384
)

// shards calls f for runs of texts, side by side. The first run's error counts.
func (n *native) shards(ctx context.Context, texts []model.Encoding, f func(lo, hi int) error) error {
	all := 0
	for _, t := range texts {
		all += len(t.IDs)
	}
	limit := min(max(all/runtime.GOMAXPROCS(0)+1, fewTokens), manyTokens)
	var runs [][2]int
	lo, tokens := 0, 0
	for i, t := range texts {
		if tokens += len(t.IDs); tokens >= limit || i == len(texts)-1 {
			runs = append(runs, [2]int{lo, i + 1})
			lo, tokens = i+1, 0
		}
	}
	errs := make([]error, len(runs))
	if err := engine.Each(ctx, len(runs), func(i int) { errs[i] = f(runs[i][0], runs[i][1]) }); err != nil {
		return err
	}
	return cmp.Or(errs...)
}
