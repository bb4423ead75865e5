//go:build torch && cgo

package torch

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// cudaStepTokens are the tokens, with padding, of one step of training on a GPU: 180 KB each, as
// every state is kept. Not measured, as those of config.go.
const cudaStepTokens = 1 << 14

// Gradient is the native engine's on a CPU, unless an adapter reaches below the last block.
func (t *torch) Gradient(ctx context.Context, r engine.Rows, adapters []*model.Adapter, taps []int,
	loss engine.Loss) ([]*model.Adapter, error) {
	if t.closed.Load() {
		return nil, ErrClosed
	}
	deepest := 0
	for _, a := range adapters {
		if a != nil {
			deepest = max(deepest, a.Blocks)
		}
	}
	if deepest > t.Trains() {
		return nil, fmt.Errorf("%w: an adapter of %d blocks, the encoder has %d", engine.ErrUntrainable, deepest,
			t.Trains())
	}
	if !t.card && deepest <= t.native.Trains() && r.From == t.enc.Blocks()-1 {
		return t.native.Gradient(ctx, r, adapters, taps, loss)
	}
	groups, err := t.groups(r, adapters)
	if err == nil {
		err = t.checkTaps(taps, r.From+1, t.enc.Blocks(), 0, nil)
	}
	if err != nil {
		return nil, err
	}
	if r.From >= 0 {
		if r.Stems, err = r.Filled(ctx, t); err != nil {
			return nil, err
		}
	}
	defer t.trim.soon()
	sums := make([]*model.Adapter, len(adapters))
	for i, a := range adapters {
		if a != nil {
			sums[i] = a.Zero()
		}
	}
	for _, g := range groups {
		if err := t.gradient(ctx, r, g, sums, taps, loss); err != nil {
			return nil, closed(err)
		}
	}
	return sums, nil
}

// gradient adds what a group's rows find to the sums, one shard after another, in their order.
func (t *torch) gradient(ctx context.Context, r engine.Rows, g *group, sums []*model.Adapter, taps []int,
	loss engine.Loss) error {
	dealt := shards(r.Texts, g.rows)
	if t.card {
		dealt = cut(byLength(r.Texts, g.rows), r.Texts, cudaStepTokens)
	}
	return t.libtorch.Train(ctx, func(s *libtorch.Scope) error {
		found, err := s.Fork(len(dealt), func(i int, s *libtorch.Scope) ([]libtorch.Tensor, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return t.shard(s, r, g, dealt[i], taps, loss), nil
		})
		if err != nil || g.bare {
			return err
		}
		n := g.n()
		for i, rows := range dealt {
			ids, _ := g.own(rows)
			values := s.Values(found[i][0])
			for k, id := range ids {
				g.add(sums[id], values[k*n:(k+1)*n])
			}
		}
		return nil
	})
}

// shard is the gradients of some rows' adapters, [P,n] for the P of them, or nothing for bare rows.
func (t *torch) shard(s *libtorch.Scope, r engine.Rows, g *group, rows, taps []int,
	loss engine.Loss) []libtorch.Tensor {
	d, b, a := t.enc.Hidden(), newBatch(pick(r.Texts, rows)), g.adapter(s, rows)
	var leaves []libtorch.Tensor
	if a != nil {
		leaves = a.train(s)
	}
	var seen, states libtorch.Tensor // [B,d], [B,taps·d]
	width := d
	if r.From < 0 {
		seen, states = t.graph.forward(s, b, a, taps)
	} else {
		seen, states = t.graph.upper(s, b.join(s, pick(r.Stems, rows), d), b, r.From, a, taps)
	}
	if len(taps) > 0 {
		seen, width = states, d*len(taps)
	}
	x, dx := s.Values(seen), make([]float32, len(rows)*width)
	for i, row := range rows {
		loss(row, x[i*width:(i+1)*width], dx[i*width:(i+1)*width])
	}
	if a == nil {
		return nil
	}
	// The gradient of Σ x⊙dx, dx fixed, is the loss's.
	whole := s.SumDim(s.Mul(seen, s.Float32s(dx, b.B, int64(width))), 0, 1)
	return []libtorch.Tensor{g.sum(s, s.Grad(whole, leaves...), rows)}
}

// sum adds up the gradients of parts, [B,size] each in the layout's order, by owner: [P,n]. No
// adapter's numbers meet another's, whatever they are.
func (g *group) sum(s *libtorch.Scope, grads []libtorch.Tensor, rows []int) libtorch.Tensor {
	all := s.Cat(grads, 1) // [B,n], or [1,n] of the only one
	ids, owner := g.own(rows)
	if len(ids) == 1 {
		return all
	}
	of := make([][]int64, len(ids))
	for i, o := range owner {
		of[o] = append(of[o], int64(i))
	}
	var flat, begin []int64
	for _, rows := range of {
		begin, flat = append(begin, int64(len(flat))), append(flat, rows...)
	}
	return s.SumRows(all, s.Int64s(flat, int64(len(flat))), s.Int64s(begin, int64(len(begin))))
}
