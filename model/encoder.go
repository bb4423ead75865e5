//go:build cgo

package model

import (
	"context"
	"fmt"
	"sync"

	"github.com/xpeft/xpeft/internal/bert"
	"github.com/xpeft/xpeft/internal/torch"
)

// Encoder is a frozen BERT on an engine's device. It is safe for concurrent use; its weights never change.
type Encoder struct {
	config  Config
	pooling Pooling
	embed   embeddings
	blocks  []block
	pooler  linear
	weights []*torch.Held // nil after Close
	// kernels are EmbedEach's, packed at its first use; nil before, and where they cannot run.
	kernels *bert.Model
	pack    sync.Once
	onCPU   bool
	// checkpoint stays open: on a CPU, F32 weights are views of its file.
	checkpoint *Checkpoint
}

type linear struct{ w, b torch.Tensor }

type layerNorm struct {
	w, b torch.Tensor
	n    int64
	eps  float64
}

func (n layerNorm) apply(s *torch.Scope, x torch.Tensor) torch.Tensor {
	return s.LayerNorm(x, n.w, n.b, n.n, n.eps)
}

// block is one layer: attention, then feed-forward, then the adapter's place.
type block struct {
	attn attention
	ffn  feedForward
}

// NewEncoder puts a checkpoint's weights on the engine's device and takes the checkpoint over: Close closes it. After an error it is still
// the caller's. On a CPU F32 weights are not copied but mapped, except query, key and value, which are joined. Cost: page faults at first
// use; F16 and BF16 are widened now.
func NewEncoder(ctx context.Context, e *torch.Engine, c *Checkpoint) (*Encoder, error) {
	enc := &Encoder{config: c.Config, pooling: c.Pooling, checkpoint: c, onCPU: e.Device() == torch.CPU}
	w := &loader{checkpoint: c}
	loaded := false
	defer func() {
		if !loaded { // an operator may have failed halfway
			w.free()
		}
	}()
	err := e.Do(ctx, func(s *torch.Scope) error {
		w.scope = s
		enc.embed = w.embeddings()
		for l := range c.Config.NumHiddenLayers {
			enc.blocks = append(enc.blocks, w.block(fmt.Sprintf("encoder.layer.%d.", l)))
		}
		if enc.pooling == PoolPooler {
			enc.pooler = w.linear("pooler.dense")
		}
		return w.err
	})
	if err != nil {
		return nil, err
	}
	enc.weights, loaded = w.held, true
	return enc, nil
}

// Close frees the weights and closes the checkpoint. No forward pass may run.
func (e *Encoder) Close() error {
	if e.kernels != nil {
		e.kernels.Free()
	}
	for _, h := range e.weights {
		h.Free()
	}
	e.weights = nil
	return e.checkpoint.Close()
}

// Config is the checkpoint's.
func (e *Encoder) Config() Config { return e.config }

// Hidden is d, the size of a state.
func (e *Encoder) Hidden() int { return e.config.HiddenSize }

// Pooling is how the states of a text's tokens become its embedding.
func (e *Encoder) Pooling() Pooling { return e.pooling }

// Blocks is L, the number of layers.
func (e *Encoder) Blocks() int { return len(e.blocks) }

// Embed is one vector a text, [B,H]: Forward, then Pool. a may be nil: the bare encoder.
func (e *Encoder) Embed(s *torch.Scope, b *Batch, a *Adapter) torch.Tensor {
	return e.Pool(s, e.Forward(s, b, a), b)
}

// Forward is the last block's states [B,T,H]. a may be nil: the bare encoder. Like Stem and Upper it panics with a *torch.Error, which
// the engine returns, on ids and shapes that do not fit the model.
func (e *Encoder) Forward(s *torch.Scope, b *Batch, a *Adapter) torch.Tensor {
	m := e.mask(s, b)
	return e.upper(s, e.stem(s, b, 0, m), b, 0, a, m)
}

// Stem is the part that no adapter in block from or above can change: the embeddings, the blocks below, and block from up to its residual
// sum f + a, [B,T,H]. But for rounding, a row's own tokens do not depend on the batch that it is in, so they may be computed once and kept.
func (e *Encoder) Stem(s *torch.Scope, b *Batch, from int) torch.Tensor {
	return e.stem(s, b, from, e.mask(s, b))
}

func (e *Encoder) stem(s *torch.Scope, b *Batch, from int, m torch.Tensor) torch.Tensor {
	e.checkIDs(b)
	x := s.Block(func() torch.Tensor {
		return e.blocks[0].residual(s, e.embed.forward(s, b), m, b)
	})
	for l := range from {
		below := x
		x = s.Block(func() torch.Tensor {
			return e.blocks[l+1].residual(s, e.adapt(s, l, below, nil), m, b)
		})
		s.Free(below)
	}
	return x
}

// Upper is the rest: block from's adapter, then the blocks above. It leaves stem as it is.
func (e *Encoder) Upper(s *torch.Scope, stem torch.Tensor, b *Batch, from int, a *Adapter) torch.Tensor {
	return e.upper(s, stem, b, from, a, e.mask(s, b))
}

func (e *Encoder) upper(s *torch.Scope, stem torch.Tensor, b *Batch, from int, a *Adapter, m torch.Tensor) torch.Tensor {
	e.checkAdapter(a, from)
	x := e.adapt(s, from, stem, a)
	for l := from + 1; l < len(e.blocks); l++ {
		prev := x
		x = s.Block(func() torch.Tensor {
			return e.adapt(s, l, e.blocks[l].residual(s, prev, m, b), a)
		})
		s.Free(prev)
	}
	return x
}

// mask is the attention's, of a batch that was checked.
func (e *Encoder) mask(s *torch.Scope, b *Batch) torch.Tensor {
	e.check(b)
	return e.attentionMask(s, b)
}

// adapt ends block l: with an adapter y = LN(adapter(LN(r)) + r), without one LN(r).
func (e *Encoder) adapt(s *torch.Scope, l int, r torch.Tensor, a *Adapter) torch.Tensor {
	out := e.blocks[l].ffn.norm
	if a != nil { // its blocks are the encoder's last ones
		l -= len(e.blocks) - len(a.Blocks)
	}
	return s.Block(func() torch.Tensor {
		return a.apply(s, l, r, func(x torch.Tensor) torch.Tensor { return out.apply(s, x) })
	})
}

// residual is f + a, what the block's outer LN takes.
func (blk *block) residual(s *torch.Scope, x, mask torch.Tensor, b *Batch) torch.Tensor {
	a := s.Block(func() torch.Tensor { return blk.attn.forward(s, x, mask, b) })
	return s.Add(blk.ffn.forward(s, a), a)
}

// refuse panics as an operator does: the engine returns the error.
func refuse(format string, args ...any) {
	panic(&torch.Error{Op: "encode", Msg: fmt.Sprintf(format, args...)})
}

// check refuses what would index out of range here, or touch freed memory.
func (e *Encoder) check(b *Batch) {
	if e.weights == nil {
		refuse("the encoder is closed")
	}
	if err := b.check(); err != nil {
		refuse("%v", err)
	}
	if b.T > e.config.MaxPositionEmbeddings {
		refuse("%d tokens, the model has %d positions", b.T, e.config.MaxPositionEmbeddings)
	}
}

// checkAdapter refuses one with too many blocks, or with a block that has no projections: libtorch does not survive an operand that is none.
func (e *Encoder) checkAdapter(a *Adapter, from int) {
	if a == nil {
		return
	}
	if n := len(a.Blocks); n < 1 || n > len(e.blocks)-from {
		refuse("an adapter of %d blocks for blocks %d to %d of a model", n, from, len(e.blocks)-1)
	}
	for l, blk := range a.Blocks {
		if a.Make != nil {
			break
		}
		if blk.Down == (torch.Tensor{}) || blk.Up == (torch.Tensor{}) {
			refuse("an adapter with nothing in block %d", l)
		}
	}
}

// checkIDs refuses ids that would end the process on a GPU.
func (e *Encoder) checkIDs(b *Batch) {
	for _, id := range b.IDs {
		if id < 0 || id >= int64(e.config.VocabSize) {
			refuse("token id %d, the model has %d", id, e.config.VocabSize)
		}
	}
	for _, id := range b.TypeIDs {
		if id < 0 || id >= int64(e.config.TypeVocabSize) {
			refuse("token type %d, the model has %d", id, e.config.TypeVocabSize)
		}
	}
}

// check finds what a batch that NewBatch did not make may have wrong.
func (b *Batch) check() error {
	if b.B < 1 || b.T < 1 || len(b.Lengths) != b.B || len(b.IDs) != b.B*b.T || len(b.TypeIDs) != b.B*b.T {
		return fmt.Errorf("model: a batch of %d × %d tokens has %d ids, %d type ids, %d lengths", b.B, b.T, len(b.IDs), len(b.TypeIDs), len(b.Lengths))
	}
	for i, n := range b.Lengths {
		if n < 1 || n > b.T {
			return fmt.Errorf("model: row %d of a batch of %d tokens a row has a length of %d", i, b.T, n)
		}
	}
	return nil
}
