//go:build cgo

package model

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/internal/torch"
)

// Encoder is a frozen BERT on an engine's device. It is safe for concurrent use; its weights never change.
type Encoder struct {
	config  Config
	pooling Pooling
	padID   int32
	embed   embeddings
	blocks  []block
	pooler  linear
	weights []*torch.Held
	// mapped is whether weights are views of the checkpoint's file, which must then stay open.
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

// NewEncoder puts a checkpoint's weights on the engine's device and takes the checkpoint over: Close closes it. On a CPU F32 weights are
// not copied but mapped. Cost: page faults at first use; F16 and BF16 are widened now.
func NewEncoder(ctx context.Context, e *torch.Engine, c *Checkpoint) (*Encoder, error) {
	enc := &Encoder{config: c.Config, pooling: c.Pooling, checkpoint: c}
	err := e.Do(ctx, func(s *torch.Scope) error {
		w := &loader{scope: s, checkpoint: c}
		enc.embed = w.embeddings()
		for l := range c.Config.NumHiddenLayers {
			enc.blocks = append(enc.blocks, w.block(fmt.Sprintf("encoder.layer.%d.", l)))
		}
		if enc.pooling == PoolPooler {
			enc.pooler = w.linear("pooler.dense")
		}
		enc.weights = w.held
		return w.err
	})
	if err != nil {
		for _, h := range enc.weights {
			h.Free()
		}
		return nil, err
	}
	return enc, nil
}

// Close frees the weights and closes the checkpoint. No forward pass may run.
func (e *Encoder) Close() error {
	for _, h := range e.weights {
		h.Free()
	}
	e.weights = nil
	return e.checkpoint.Close()
}

// Config is the checkpoint's.
func (e *Encoder) Config() Config { return e.config }

// Hidden is d, Blocks is L.
func (e *Encoder) Hidden() int { return e.config.HiddenSize }

// Blocks is L, the number of layers.
func (e *Encoder) Blocks() int { return len(e.blocks) }

// Embed is a text's mean or [CLS] state after the whole encoder: [B,H]. a may be nil: the bare encoder.
func (e *Encoder) Embed(s *torch.Scope, b *Batch, a *Adapter) torch.Tensor {
	return e.Pool(s, e.Forward(s, b, a), b)
}

// Forward is the last block's states [B,T,H]. a may be nil: the bare encoder.
func (e *Encoder) Forward(s *torch.Scope, b *Batch, a *Adapter) torch.Tensor {
	return e.Upper(s, e.Stem(s, b), b, a)
}

// Stem is the part that no adapter can change: the embeddings and block 0 up to its residual sum f + a, [B,T,H]. A row's own
// tokens do not depend on the batch that it is in, so they may be computed once and kept.
func (e *Encoder) Stem(s *torch.Scope, b *Batch) torch.Tensor {
	e.check(b)
	m := e.attentionMask(s, b)
	return s.Block(func() torch.Tensor {
		return e.blocks[0].residual(s, e.embed.forward(s, b), m, b)
	})
}

// Upper is the rest: block 0's adapter, then blocks 1 to L-1.
func (e *Encoder) Upper(s *torch.Scope, stem torch.Tensor, b *Batch, a *Adapter) torch.Tensor {
	m := e.attentionMask(s, b)
	x := e.adapt(s, 0, stem, a)
	for l := 1; l < len(e.blocks); l++ {
		prev := x
		x = s.Block(func() torch.Tensor {
			return e.adapt(s, l, e.blocks[l].residual(s, prev, m, b), a)
		})
		s.Free(prev)
	}
	return x
}

// adapt ends block l: with an adapter y = LN(adapter(LN(r)) + r), without one LN(r).
func (e *Encoder) adapt(s *torch.Scope, l int, r torch.Tensor, a *Adapter) torch.Tensor {
	out := e.blocks[l].ffn.norm
	return s.Block(func() torch.Tensor {
		return a.apply(s, l, r, func(x torch.Tensor) torch.Tensor { return out.apply(s, x) })
	})
}

// residual is f + a, what the block's outer LN takes.
func (blk *block) residual(s *torch.Scope, x, mask torch.Tensor, b *Batch) torch.Tensor {
	a := s.Block(func() torch.Tensor { return blk.attn.forward(s, x, mask, b) })
	return s.Add(blk.ffn.forward(s, a), a)
}

// check refuses ids that would end the process on a GPU.
func (e *Encoder) check(b *Batch) {
	if b.T > e.config.MaxPositionEmbeddings {
		panic(&torch.Error{Op: "encode", Msg: fmt.Sprintf("%d tokens, the model has %d positions", b.T, e.config.MaxPositionEmbeddings)})
	}
	for _, id := range b.IDs {
		if id < 0 || id >= int64(e.config.VocabSize) {
			panic(&torch.Error{Op: "encode", Msg: fmt.Sprintf("token id %d, the model has %d", id, e.config.VocabSize)})
		}
	}
	for _, id := range b.TypeIDs {
		if id < 0 || id >= int64(e.config.TypeVocabSize) {
			panic(&torch.Error{Op: "encode", Msg: fmt.Sprintf("token type %d, the model has %d", id, e.config.TypeVocabSize)})
		}
	}
}

func (e *Encoder) attentionMask(s *torch.Scope, b *Batch) torch.Tensor {
	h := e.config.NumAttentionHeads
	return s.FillFloat32s(func(dst []float32) { b.attention(dst, h) }, int64(b.B*h), 1, int64(b.T))
}
