//go:build torch && cgo

package torch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// Built says whether libtorch is in this program.
const Built = true

// torch is an engine of one encoder.
type torch struct {
	enc      *model.Encoder
	native   engine.Engine
	libtorch *libtorch.Engine
	graph    *encoder
	weights  *loader
	trim     trimmer
	closed   atomic.Bool
	card     bool // libtorch computes everything
	few      int  // below so many rows Embed is the native engine's
}

// Open makes the libtorch engine of an encoder, which must stay open until the engine is closed. It
// returns [engine.ErrNoCUDA] for the device cuda where there is none.
func Open(enc *model.Encoder, c Config) (engine.Engine, error) {
	if c.Device == "" {
		c.Device = string(libtorch.Auto)
	}
	lt, err := libtorch.Open(libtorch.Config{Device: libtorch.Device(c.Device), Workers: c.Workers,
		Threads: c.Threads, Logger: c.Logger})
	if errors.Is(err, libtorch.ErrNoCUDA) {
		return nil, fmt.Errorf("%w: libtorch sees none", engine.ErrNoCUDA)
	}
	if err != nil {
		return nil, err
	}
	t := &torch{enc: enc, native: native.New(enc), libtorch: lt, weights: &loader{checkpoint: enc.Checkpoint()}}
	if lt.Device() == libtorch.CUDA {
		t.card, t.few = true, CUDAFromRows
	}
	err = lt.Do(context.Background(), func(s *libtorch.Scope) error {
		t.weights.scope = s
		t.graph = t.weights.encoder()
		return t.weights.err
	})
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *torch) Name() string    { return "torch" }
func (t *torch) Device() string  { return string(t.libtorch.Device()) }
func (t *torch) Trains() int     { return t.enc.Blocks() }
func (t *torch) TrainsLoRA() int { return t.enc.Blocks() }

// Close waits for libtorch's calls that run and frees the weights. It leaves the encoder open and
// is idempotent.
func (t *torch) Close() error {
	if t.closed.Swap(true) {
		return nil
	}
	t.trim.stop()
	t.libtorch.Close()
	t.weights.free()
	return t.native.Close()
}

func (t *torch) Stems(ctx context.Context, texts []model.Encoding, from int, taps []int,
	states []float32) ([][]float32, error) {
	if t.closed.Load() {
		return nil, ErrClosed
	}
	if !t.card {
		return t.native.Stems(ctx, texts, from, taps, states)
	}
	if err := t.enc.Check(texts); err != nil {
		return nil, err
	}
	if from < 0 || from >= t.enc.Blocks() {
		return nil, fmt.Errorf("torch: block %d of %d", from, t.enc.Blocks())
	}
	if err := t.checkTaps(taps, 0, from, len(texts), states); err != nil {
		return nil, err
	}
	stems := make([][]float32, len(texts))
	err := t.passes(ctx, texts, every(len(texts)), func(s *libtorch.Scope, rows []int, b *batch) error {
		r, tapped := t.graph.stem(s, b, from, taps)
		made := b.split(s.Values(r), t.enc.Hidden())
		if len(taps) > 0 {
			scatter(states, s.Values(tapped), rows, len(taps)*t.enc.Hidden())
		}
		for i, row := range rows {
			stems[row] = made[i]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stems, nil
}

func (t *torch) Embed(ctx context.Context, r engine.Rows, adapters []*model.Adapter, x []float32, taps []int,
	states []float32) error {
	if t.closed.Load() {
		return ErrClosed
	}
	if !t.card || len(r.Texts) < t.few {
		return t.native.Embed(ctx, r, adapters, x, taps, states)
	}
	d := t.enc.Hidden()
	if len(x) != len(r.Texts)*d {
		return fmt.Errorf("torch: %d values for %d texts", len(x), len(r.Texts))
	}
	if err := t.checkTaps(taps, 0, t.enc.Blocks(), len(r.Texts), states); err != nil {
		return err
	}
	if r.Stems == nil {
		r.From = -1
	}
	groups, err := t.groups(r, adapters)
	if err != nil {
		return err
	}
	for _, g := range groups {
		err := t.passes(ctx, r.Texts, g.rows, func(s *libtorch.Scope, rows []int, b *batch) error {
			pooled, tapped := t.embed(s, r, rows, b, g.adapter(s, rows), taps)
			scatter(x, s.Values(pooled), rows, d)
			if len(taps) > 0 {
				scatter(states, s.Values(tapped), rows, d*len(taps))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTaps wants them ascending, from one block's states to another's, and as many values.
func (t *torch) checkTaps(taps []int, first, last, texts int, states []float32) error {
	for i, l := range taps {
		if l < first || l > last || i > 0 && l <= taps[i-1] {
			return fmt.Errorf("torch: taps %v, want blocks from %d to %d, ascending", taps, first, last)
		}
	}
	if len(states) != len(taps)*texts*t.enc.Hidden() {
		return fmt.Errorf("torch: %d values of %d taps for %d texts", len(states), len(taps), texts)
	}
	return nil
}

// embed is one pass: out of the stems where all rows have one and nothing below is asked for.
func (t *torch) embed(s *libtorch.Scope, r engine.Rows, rows []int, b *batch, a *adapter, taps []int) (pooled,
	states libtorch.Tensor) {
	if len(r.Stems) > 0 && (len(taps) == 0 || taps[0] > r.From) {
		if stems := pick(r.Stems, rows); !slices.ContainsFunc(stems, isNil) {
			return t.graph.upper(s, b.join(s, stems, t.enc.Hidden()), b, r.From, a, taps)
		}
	}
	return t.graph.forward(s, b, a, taps)
}

// passes calls f for parts of some of the texts, longest together so that little is padding. After
// an error, or when ctx has ended, it starts no other.
func (t *torch) passes(ctx context.Context, texts []model.Encoding, rows []int,
	f func(s *libtorch.Scope, rows []int, b *batch) error) error {
	for _, part := range cut(byLength(texts, rows), texts, CUDAPassTokens) {
		err := t.libtorch.Do(ctx, func(s *libtorch.Scope) error { return f(s, part, newBatch(pick(texts, part))) })
		if err != nil {
			return closed(err)
		}
	}
	return ctx.Err()
}

// closed is ErrClosed for a call that Close overtook.
func closed(err error) error {
	if errors.Is(err, libtorch.ErrClosed) {
		return ErrClosed
	}
	return err
}

// scatter copies the rows of src, n values each, to their places in dst.
func scatter(dst, src []float32, rows []int, n int) {
	for i, row := range rows {
		copy(dst[row*n:(row+1)*n], src[i*n:])
	}
}

// pick is some of a slice's entries.
func pick[T any](of []T, which []int) []T {
	out := make([]T, len(which))
	for i, w := range which {
		out[i] = of[w]
	}
	return out
}

func isNil(stem []float32) bool { return stem == nil }
