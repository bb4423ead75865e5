//go:build cgo

package model

import "github.com/xpeft/xpeft/internal/torch"

type embeddings struct {
	words, positions, types torch.Tensor
	norm                    layerNorm
}

// forward is LN(word + position + type), [B,T,H].
func (e *embeddings) forward(s *torch.Scope, b *Batch) torch.Tensor {
	return s.Block(func() torch.Tensor {
		ids := s.Int64s(b.IDs, int64(b.B), int64(b.T))
		types := s.Int64s(b.TypeIDs, int64(b.B), int64(b.T))
		x := s.Add(s.Embedding(e.words, ids), s.Embedding(e.types, types))
		x = s.Add(x, s.Narrow(e.positions, 0, 0, int64(b.T)))
		return e.norm.apply(s, x)
	})
}
