//go:build cgo

package model

import "github.com/xpeft/xpeft/internal/torch"

// Pool turns states [B,T,H] into one vector a text, [B,H], by the checkpoint's own pooling.
func (e *Encoder) Pool(s *torch.Scope, x torch.Tensor, b *Batch) torch.Tensor {
	e.check(b)
	return s.Block(func() torch.Tensor {
		if e.pooling == PoolMean {
			w := s.FillFloat32s(b.mean, int64(b.B), 1, int64(b.T))
			return s.View(s.BMM(w, x), int64(b.B), int64(e.config.HiddenSize))
		}
		cls := s.Select(x, 1, 0)
		if e.pooling == PoolPooler {
			return s.Tanh(s.Linear(cls, e.pooler.w, e.pooler.b))
		}
		return s.Contiguous(cls)
	})
}

// mean fills the weights [B,1,T] whose product with the states [B,T,H] is each row's mean over its own tokens.
func (b *Batch) mean(dst []float32) {
	clear(dst)
	for i, n := range b.Lengths {
		for t := range n {
			dst[i*b.T+t] = 1 / float32(n)
		}
	}
}
