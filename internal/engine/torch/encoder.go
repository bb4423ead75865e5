//go:build torch && cgo

package torch

import (
	"math"

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

// residual is f + a of block l, what its outer LN takes.
func (e *encoder) residual(s *libtorch.Scope, l int, x, mask libtorch.Tensor, b *batch, own *adapter) libtorch.Tensor {
	blk := e.blocks[l]
	a := s.Block(func() libtorch.Tensor { return blk.attn.forward(s, x, mask, b, own, e.within(own, l)) })
	return s.Add(blk.ffn.forward(s, a), a)
}

// within is which of an adapter's blocks, the encoder's last ones, block l is; below 0 none.
func (e *encoder) within(a *adapter, l int) int {
	if a == nil {
		return -1
	}
	return l - (len(e.blocks) - a.blocks)
}

// adapt ends block l: with an adapter y = LN(adapter(LN(r)) + r), without one LN(r).
func (e *encoder) adapt(s *libtorch.Scope, l int, r libtorch.Tensor, a *adapter) libtorch.Tensor {
	out := e.blocks[l].ffn.norm
	return s.Block(func() libtorch.Tensor {
		return a.apply(s, e.within(a, l), r, func(x libtorch.Tensor) libtorch.Tensor { return out.apply(s, x) })
	})
}

// through is block l of states x, which it frees.
func (e *encoder) through(s *libtorch.Scope, l int, x, mask libtorch.Tensor, b *batch, a *adapter) libtorch.Tensor {
	y := s.Block(func() libtorch.Tensor {
		return e.adapt(s, l, e.residual(s, l, x, mask, b, a), a)
	})
	s.Free(x)
	return y
}

// tapped collects the mean of each text's states after the blocks of taps.
type tapped struct {
	taps  []int
	mean  libtorch.Tensor
	means []libtorch.Tensor // [B,1,d] each
}

func newTapped(s *libtorch.Scope, b *batch, taps []int) *tapped {
	t := &tapped{taps: taps}
	if len(taps) > 0 {
		t.mean = b.mean(s)
	}
	return t
}

// see takes the states x after l blocks.
func (t *tapped) see(s *libtorch.Scope, l int, x libtorch.Tensor) {
	if n := len(t.means); n < len(t.taps) && t.taps[n] == l {
		t.means = append(t.means, s.BMM(t.mean, x))
	}
}

// all is what was collected, [B,len(taps)·d]; none without taps.
func (t *tapped) all(s *libtorch.Scope, b *batch) (states libtorch.Tensor) {
	if len(t.taps) > 0 {
		states = s.View(s.Cat(t.means, 2), b.B, -1)
	}
	return states
}

// below is the states after the first blocks, which end before stop, of the embeddings on.
func (e *encoder) below(s *libtorch.Scope, b *batch, stop int, a *adapter, t *tapped) libtorch.Tensor {
	mask, x := b.mask(s, e.heads), e.embed.forward(s, b)
	t.see(s, 0, x)
	for l := range stop {
		x = e.through(s, l, x, mask, b, a)
		t.see(s, l+1, x)
	}
	return x
}

// forward is the whole pass: one vector a text, [B,d], and beside it the mean of each text's states
// after the blocks of taps, [B,len(taps)·d]; none without taps. a may be nil: the bare encoder.
func (e *encoder) forward(s *libtorch.Scope, b *batch, a *adapter, taps []int) (pooled, states libtorch.Tensor) {
	t := newTapped(s, b, taps)
	x := e.below(s, b, len(e.blocks), a, t)
	return e.pool(s, x, b), t.all(s, b)
}

// stem is what no adapter in block from or above can change: the embeddings, the blocks below, and
// block from up to its residual sum f + a, [B,T,d]; and the mean states after taps on the way.
func (e *encoder) stem(s *libtorch.Scope, b *batch, from int, taps []int) (r, states libtorch.Tensor) {
	t := newTapped(s, b, taps)
	x, mask := e.below(s, b, from, nil, t), b.mask(s, e.heads)
	return s.Block(func() libtorch.Tensor { return e.residual(s, from, x, mask, b, nil) }), t.all(s, b)
}

// upper is the rest out of a stem, which it leaves as it is: block from's adapter, the blocks
// above, the pooling, [B,d], and the mean states after taps.
func (e *encoder) upper(s *libtorch.Scope, stem libtorch.Tensor, b *batch, from int, a *adapter,
	taps []int) (pooled, states libtorch.Tensor) {
	mask, t := b.mask(s, e.heads), newTapped(s, b, taps)
	x := e.adapt(s, from, stem, a)
	t.see(s, from+1, x)
	for l := from + 1; l < len(e.blocks); l++ {
		x = e.through(s, l, x, mask, b, a)
		t.see(s, l+1, x)
	}
	return e.pool(s, x, b), t.all(s, b)
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

type embeddings struct {
	words, positions, types libtorch.Tensor
	norm                    layerNorm
}

// forward is LN(word + position + type), [B,T,d].
func (e *embeddings) forward(s *libtorch.Scope, b *batch) libtorch.Tensor {
	return s.Block(func() libtorch.Tensor {
		ids, types := b.ids(s)
		x := s.Add(s.Embedding(e.words, ids), s.Embedding(e.types, types))
		x = s.Add(x, s.Narrow(e.positions, 0, 0, b.T))
		return e.norm.apply(s, x)
	})
}

type attention struct {
	qkv   linear // the three projections in one, [3d,d]: one large product instead of three
	out   linear
	norm  layerNorm
	heads int64
}

// forward is LN(attention(x) + x), [B,T,d]; own may have a LoRA, whose block is l.
func (a *attention) forward(s *libtorch.Scope, x, mask libtorch.Tensor, b *batch, own *adapter,
	l int) libtorch.Tensor {
	B, T, h := b.B, b.T, a.heads
	dh := a.norm.n / h
	qkv := s.View(own.attend(s, l, x, s.Linear(x, a.qkv.w, a.qkv.b)), B, T, 3, h, dh)
	part := func(i int64) libtorch.Tensor { // [B·h,T,dh]
		return s.Reshape(s.Transpose(s.Select(qkv, 2, i), 1, 2), B*h, T, dh)
	}
	q, k, v := part(0), part(1), part(2)
	scores := s.AddBMM(mask, q, s.Transpose(k, 1, 2), 1/math.Sqrt(float64(dh))) // [B·h,T,T]
	ctx := s.View(s.BMM(s.Softmax(scores), v), B, h, T, dh)
	ctx = s.Reshape(s.Transpose(ctx, 1, 2), B, T, h*dh)
	return a.norm.apply(s, s.Add(s.Linear(ctx, a.out.w, a.out.b), x))
}

type feedForward struct {
	up, down linear
	norm     layerNorm // the block's outer LN, used by the adapter's place
	act      string
}

// forward is f = W₂·act(W₁·a), [B,T,d], before the residual and the norm.
func (f *feedForward) forward(s *libtorch.Scope, a libtorch.Tensor) libtorch.Tensor {
	return s.Block(func() libtorch.Tensor {
		x := s.Linear(a, f.up.w, f.up.b) // [B,T,4d]
		switch f.act {
		case "relu":
			x = s.ReLU(x)
		default:
			x = s.GELU(x, f.act == "gelu_new")
		}
		return s.Linear(x, f.down.w, f.down.b)
	})
}
