//go:build torch && cgo

package torch

import (
	"math"

	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
)

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
