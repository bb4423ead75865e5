//go:build torch && cgo

package torch

import "github.com/xpeft/xpeft/internal/engine/torch/libtorch"

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
