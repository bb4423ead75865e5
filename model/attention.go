//go:build cgo

package model

import (
	"math"

	"github.com/xpeft/xpeft/internal/torch"
)

type attention struct {
	qkv   linear // the three projections in one, [3H,H]: one large product instead of three
	out   linear
	norm  layerNorm
	heads int64
}

// forward is LN(attention(x) + x), [B,T,H].
func (a *attention) forward(s *torch.Scope, x, mask torch.Tensor, b *Batch) torch.Tensor {
	B, T, h := int64(b.B), int64(b.T), a.heads
	dh := a.norm.n / h
	qkv := s.View(s.Linear(x, a.qkv.w, a.qkv.b), B, T, 3, h, dh)
	part := func(i int64) torch.Tensor { // [B·h,T,dh]
		return s.Reshape(s.Transpose(s.Select(qkv, 2, i), 1, 2), B*h, T, dh)
	}
	q, k, v := part(0), part(1), part(2)
	scores := s.AddBMM(mask, q, s.Transpose(k, 1, 2), 1/math.Sqrt(float64(dh))) // [B·h,T,T]
	ctx := s.View(s.BMM(s.Softmax(scores), v), B, h, T, dh)
	ctx = s.Reshape(s.Transpose(ctx, 1, 2), B, T, h*dh)
	return a.norm.apply(s, s.Add(s.Linear(ctx, a.out.w, a.out.b), x))
}

// attentionMask is what is added to the scores, [B·h,1,T]: 0 at a token, a large negative number at padding.
func (e *Encoder) attentionMask(s *torch.Scope, b *Batch) torch.Tensor {
	const none = -1e30
	h := e.config.NumAttentionHeads
	return s.FillFloat32s(func(dst []float32) {
		for i := range dst {
			dst[i] = 0
			if row, t := i/(h*b.T), i%b.T; t >= b.Lengths[row] {
				dst[i] = none
			}
		}
	}, int64(b.B*h), 1, int64(b.T))
}
