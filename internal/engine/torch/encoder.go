//go:build torch && cgo

package torch

import (
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// encoder is a frozen BERT on an engine's device. What goes into it was checked before: libtorch
// does not survive a bad token id on a GPU.
type encoder struct {
	embed   embeddings
	blocks  []block
	pooling model.Pooling
	pooler  linear
	heads   int64
}

type linear struct{ w, b libtorch.Tensor }

type layerNorm struct {
	w, b libtorch.Tensor
	n    int64
	eps  float64
}

func (n layerNorm) apply(s *libtorch.Scope, x libtorch.Tensor) libtorch.Tensor {
	return s.LayerNorm(x, n.w, n.b, n.n, n.eps)
}

// block is one layer: attention, then feed-forward, then the adapter's place.
type block struct {
	attn attention
	ffn  feedForward
}

// residual is f + a, what the block's outer LN takes.
func (blk *block) residual(s *libtorch.Scope, x, mask libtorch.Tensor, b *batch) libtorch.Tensor {
	a := s.Block(func() libtorch.Tensor { return blk.attn.forward(s, x, mask, b) })
	return s.Add(blk.ffn.forward(s, a), a)
}

// adapt ends block l: with an adapter y = LN(adapter(LN(r)) + r), without one LN(r).
func (e *encoder) adapt(s *libtorch.Scope, l int, r libtorch.Tensor, a *adapter) libtorch.Tensor {
	out := e.blocks[l].ffn.norm
	if a != nil { // its blocks are the encoder's last ones
		l -= len(e.blocks) - a.blocks
	}
	return s.Block(func() libtorch.Tensor {
		return a.apply(s, l, r, func(x libtorch.Tensor) libtorch.Tensor { return out.apply(s, x) })
	})
}

// through is block l of states x, which it frees.
func (e *encoder) through(s *libtorch.Scope, l int, x, mask libtorch.Tensor, b *batch, a *adapter) libtorch.Tensor {
	y := s.Block(func() libtorch.Tensor {
		return e.adapt(s, l, e.blocks[l].residual(s, x, mask, b), a)
	})
	s.Free(x)
	return y
}

// forward is the whole pass: one vector a text, [B,d], and beside it the mean of each text's states
// after the blocks of taps, [B,len(taps)·d]; none without taps. a may be nil: the bare encoder.
func (e *encoder) forward(s *libtorch.Scope, b *batch, a *adapter, taps []int) (pooled, states libtorch.Tensor) {
	mask := b.mask(s, e.heads)
	var mean libtorch.Tensor
	if len(taps) > 0 {
		mean = b.mean(s)
	}
	var means []libtorch.Tensor // [B,1,d] each
	x := e.embed.forward(s, b)
	for l := 0; ; l++ { // x is the states after l blocks
		if len(means) < len(taps) && taps[len(means)] == l {
			means = append(means, s.BMM(mean, x))
		}
		if l == len(e.blocks) {
			break
		}
		x = e.through(s, l, x, mask, b, a)
	}
	if len(taps) > 0 {
		states = s.View(s.Cat(means, 2), b.B, -1)
	}
	return e.pool(s, x, b), states
}

// stem is what no adapter in block from or above can change: the embeddings, the blocks below, and
// block from up to its residual sum f + a, [B,T,d].
func (e *encoder) stem(s *libtorch.Scope, b *batch, from int) libtorch.Tensor {
	mask := b.mask(s, e.heads)
	x := e.embed.forward(s, b)
	for l := range from {
		x = e.through(s, l, x, mask, b, nil)
	}
	return s.Block(func() libtorch.Tensor { return e.blocks[from].residual(s, x, mask, b) })
}

// upper is the rest out of a stem, which it leaves as it is: block from's adapter, the blocks
// above, the pooling, [B,d].
func (e *encoder) upper(s *libtorch.Scope, stem libtorch.Tensor, b *batch, from int, a *adapter) libtorch.Tensor {
	mask := b.mask(s, e.heads)
	x := e.adapt(s, from, stem, a)
	for l := from + 1; l < len(e.blocks); l++ {
		x = e.through(s, l, x, mask, b, a)
	}
	return e.pool(s, x, b)
}

// pool turns states [B,T,d] into one vector a text, [B,d].
func (e *encoder) pool(s *libtorch.Scope, x libtorch.Tensor, b *batch) libtorch.Tensor {
	return s.Block(func() libtorch.Tensor {
		if e.pooling == model.PoolMean {
			return s.View(s.BMM(b.mean(s), x), b.B, -1)
		}
		cls := s.Select(x, 1, 0)
		if e.pooling == model.PoolPooler {
			return s.Tanh(s.Linear(cls, e.pooler.w, e.pooler.b))
		}
		return s.Contiguous(cls)
	})
}
