//go:build cgo

package learner

import (
	"context"
	"slices"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// stems keeps what the encoder makes of each example before the first adapter: [tokens,H], computed once. It lives in Go's memory.
type stems struct {
	encoder *model.Encoder
	from    int         // the block of the first adapter
	states  [][]float32 // nil entries are not kept: beyond the budget
}

// evalBatch is how many texts a closure without gradients takes.
const evalBatch = 64

// newStems computes the states of all examples, longest together so that little is padding, as far as the budget goes.
func newStems(ctx context.Context, env Env, examples []Example, from int, budget int64) (*stems, error) {
	st := &stems{encoder: env.Encoder, from: from, states: make([][]float32, len(examples))}
	d := env.Encoder.Hidden()
	order := byLength(examples)
	for len(order) > 0 {
		part := order[:min(evalBatch, len(order))]
		order = order[len(part):]
		for _, i := range part {
			budget -= int64(4 * d * len(examples[i].Text.IDs))
		}
		if budget < 0 {
			return st, nil
		}
		err := env.Engine.Do(ctx, func(s *torch.Scope) error {
			return forkOver(s, examples, part, func(s *torch.Scope, rows []int, b *model.Batch) error {
				flat := s.Values(env.Encoder.Stem(s, b, st.from))
				for row, i := range rows {
					at := row * b.T * d
					st.states[i] = slices.Clone(flat[at : at+b.Lengths[row]*d])
				}
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return st, nil
}

// forkOver runs f over shards of the examples that which names, side by side.
func forkOver(s *torch.Scope, examples []Example, which []int, f func(s *torch.Scope, which []int, b *model.Batch) error) error {
	tokens := make([]int, len(which))
	for i, w := range which {
		tokens[i] = len(examples[w].Text.IDs)
	}
	parts := deal(s, tokens)
	_, err := s.Fork(len(parts), func(i int, s *torch.Scope) ([]torch.Tensor, error) {
		some := make([]int, len(parts[i]))
		for k, row := range parts[i] {
			some[k] = which[row]
		}
		b, err := batchOf(examples, some)
		if err != nil {
			return nil, err
		}
		return nil, f(s, some, b)
	})
	return err
}

// tensor is the stem of a batch, [B,T,H].
func (st *stems) tensor(s *torch.Scope, b *model.Batch, which []int) torch.Tensor {
	states := make([][]float32, len(which))
	for row, i := range which {
		states[row] = st.states[i]
	}
	return joinStates(s, st.encoder, b, st.from, states)
}

// joinStates pads a batch's kept states to [B,T,H]; where one of them was not kept all are computed.
func joinStates(s *torch.Scope, enc *model.Encoder, b *model.Batch, from int, states [][]float32) torch.Tensor {
	for _, x := range states {
		if x == nil {
			return enc.Stem(s, b, from)
		}
	}
	d := enc.Hidden()
	width := b.T * d
	return s.FillFloat32s(func(dst []float32) {
		for row, x := range states {
			line := dst[row*width : (row+1)*width]
			clear(line[copy(line, x):])
		}
	}, int64(b.B), int64(b.T), int64(d))
}

// byLength orders examples from long to short.
func byLength(examples []Example) []int {
	order := every(len(examples))
	slices.SortStableFunc(order, func(a, b int) int { return len(examples[b].Text.IDs) - len(examples[a].Text.IDs) })
	return order
}

func batchOf(examples []Example, which []int) (*model.Batch, error) {
	texts := make([]model.Encoding, len(which))
	for row, i := range which {
		texts[row] = examples[i].Text
	}
	return model.NewBatch(texts, 0)
}

// bytes is the memory that the kept states take.
func (st *stems) bytes() (n int64) {
	for _, x := range st.states {
		n += int64(4 * len(x))
	}
	return n
}
