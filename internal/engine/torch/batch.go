//go:build torch && cgo

package torch

import (
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// batch is texts, padded to the longest one and no further: B rows of T tokens.
type batch struct {
	texts []model.Encoding
	B, T  int64
}

func newBatch(texts []model.Encoding) *batch {
	b := &batch{texts: texts, B: int64(len(texts))}
	for _, t := range texts {
		b.T = max(b.T, int64(len(t.IDs)))
	}
	return b
}

// ids are the tokens and their types, [B,T] each, copied at once. Padding is token 0 of type 0: the
// mask keeps it out.
func (b *batch) ids(s *libtorch.Scope) (ids, types libtorch.Tensor) {
	n := b.B * b.T
	flat := make([]int64, 2*n)
	for i, t := range b.texts {
		row := flat[int64(i)*b.T:]
		for j, id := range t.IDs {
			row[j], row[n+int64(j)] = int64(id), int64(t.TypeIDs[j])
		}
	}
	both := s.Int64s(flat, 2, b.B, b.T)
	return s.Select(both, 0, 0), s.Select(both, 0, 1)
}

// mask is what is added to the attention's scores of h heads, [B·h,1,T]: 0 at a token, a large
// negative number at padding.
func (b *batch) mask(s *libtorch.Scope, h int64) libtorch.Tensor {
	const none = -1e30
	return s.Block(func() libtorch.Tensor {
		m := s.FillFloat32s(func(dst []float32) {
			clear(dst)
			for i, t := range b.texts {
				for j := int64(len(t.IDs)); j < b.T; j++ {
					dst[int64(i)*b.T+j] = none
				}
			}
		}, b.B, 1, b.T)
		return s.Reshape(s.Expand(m, b.B, h, b.T), b.B*h, 1, b.T)
	})
}

// mean is [B,1,T], whose product with states [B,T,d] is each row's mean over its own tokens.
func (b *batch) mean(s *libtorch.Scope) libtorch.Tensor {
	return s.FillFloat32s(func(dst []float32) {
		clear(dst)
		for i, t := range b.texts {
			for j := range t.IDs {
				dst[int64(i)*b.T+int64(j)] = 1 / float32(len(t.IDs))
			}
		}
	}, b.B, 1, b.T)
}

// join pads stems, [tokens,d] each, to [B,T,d].
func (b *batch) join(s *libtorch.Scope, stems [][]float32, d int) libtorch.Tensor {
	width := int(b.T) * d
	return s.FillFloat32s(func(dst []float32) {
		for i, x := range stems {
			line := dst[i*width : (i+1)*width]
			clear(line[copy(line, x):])
		}
	}, b.B, b.T, int64(d))
}

// split is the opposite of join.
func (b *batch) split(states []float32, d int) [][]float32 {
	stems := make([][]float32, len(b.texts))
	for i, t := range b.texts {
		stems[i] = append(stems[i], states[i*int(b.T)*d:][:len(t.IDs)*d]...)
	}
	return stems
}
