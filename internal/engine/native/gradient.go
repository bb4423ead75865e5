package native

import (
	"context"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// Gradient takes each row through the last block and back, side by side, and adds up what the
// rows of an adapter found in the order of the rows. The stems are frozen: nothing goes further.
func (n *native) Gradient(ctx context.Context, r engine.Rows, adapters []*model.Adapter, taps []int,
	loss engine.Loss) ([]*model.Adapter, error) {
	widest, err := n.check(r, adapters, taps)
	if err != nil {
		return nil, err
	}
	owner, err := r.Check(n.Name(), len(adapters), n.enc.Hidden())
	if err != nil {
		return nil, err
	}
	stems, err := r.Filled(ctx, n)
	if err != nil {
		return nil, err
	}
	block, upT := newLast(n.enc, widest, len(taps) > 0), make([][]float32, len(adapters))
	parts := make([]*model.Adapter, len(r.Texts))
	if err := engine.Each(ctx, len(adapters), func(i int) { upT[i] = transposed(adapters[i]) }); err != nil {
		return nil, err
	}
	err = engine.Each(ctx, len(r.Texts), func(i int) {
		var a *model.Adapter
		var up []float32
		if owner != nil {
			a, up = adapters[owner[i]], upT[owner[i]]
		}
		parts[i] = n.row(block, i, stems[i], a, up, loss)
	})
	if err != nil {
		return nil, err
	}
	return n.sum(ctx, parts, owner, adapters)
}

// check refuses adapters that the formulas do not cover; it returns the largest bottleneck.
func (n *native) check(r engine.Rows, adapters []*model.Adapter, taps []int) (widest int, err error) {
	d, top := n.enc.Hidden(), n.enc.Blocks()-1
	for i, a := range adapters {
		if a == nil {
			continue
		}
		if a.Targets != 0 {
			return 0, fmt.Errorf("%w: adapter %d is a LoRA, which the native engine serves only",
				engine.ErrUntrainable, i)
		}
		if a.Blocks > n.Trains() {
			return 0, fmt.Errorf("%w: adapter %d has %d blocks, the native engine trains the last one",
				engine.ErrUntrainable, i, a.Blocks)
		}
		fits := func(x []float32, n int) bool { return x == nil || len(x) == n }
		if a.Blocks != 1 || a.Bottleneck < 1 || len(a.Down) != d*a.Bottleneck || len(a.Up) != len(a.Down) ||
			!fits(a.DownBias, a.Bottleneck) || !fits(a.UpBias, d) || !fits(a.Norm, 2*a.Bottleneck) {
			return 0, fmt.Errorf("native: adapter %d of %d blocks, b=%d, does not fit %d values", i, a.Blocks,
				a.Bottleneck, d)
		}
		widest = max(widest, a.Bottleneck)
	}
	if r.From != top {
		return 0, fmt.Errorf("native: adapters from block %d on, want the last, %d", r.From, top)
	}
	if len(taps) > 0 && !slices.Equal(taps, []int{top + 1}) {
		return 0, fmt.Errorf("native: the states after the blocks %v, want those after the last, %d", taps, top+1)
	}
	return widest, nil
}

// transposed is B̂ᵀ, [d,b].
func transposed(a *model.Adapter) []float32 {
	if a == nil {
		return nil
	}
	b, d := a.Bottleneck, len(a.Up)/a.Bottleneck
	t := make([]float32, len(a.Up))
	for c := range b {
		for j, x := range a.Up[c*d : (c+1)*d] {
			t[j*b+c] = x
		}
	}
	return t
}

// row is the gradient of one row's loss by its adapter; nil for a bare row.
func (n *native) row(block *last, i int, stem []float32, a *model.Adapter, upT []float32,
	loss engine.Loss) *model.Adapter {
	s, _ := n.scratch.Get().(*scratch)
	if s == nil {
		s = new(scratch)
	}
	defer n.scratch.Put(s)
	s.at = 0
	p := block.forward(stem, a, s)
	dx := s.take(block.d)
	clear(dx)
	loss(i, p.x, dx)
	if a == nil {
		return nil
	}
	g, _ := n.parts.Get().(*model.Adapter)
	if g == nil || !alike(g, a) {
		g = a.Zero()
	}
	p.backward(dx, upT, g, s)
	return g
}

// alike says whether two adapters of one block have the same parts.
func alike(a, b *model.Adapter) bool {
	return len(a.Down) == len(b.Down) && len(a.DownBias) == len(b.DownBias) && len(a.UpBias) == len(b.UpBias) &&
		len(a.Norm) == len(b.Norm)
}

// sum adds up the rows of each adapter; one without rows has zeros.
func (n *native) sum(ctx context.Context, parts []*model.Adapter, owner []int,
	adapters []*model.Adapter) ([]*model.Adapter, error) {
	rows := make([][]*model.Adapter, len(adapters))
	for i, o := range owner {
		rows[o] = append(rows[o], parts[i])
	}
	sums := make([]*model.Adapter, len(adapters))
	err := engine.Each(ctx, len(adapters), func(o int) {
		switch {
		case adapters[o] == nil:
		case len(rows[o]) == 0:
			sums[o] = adapters[o].Zero()
		default:
			sums[o] = rows[o][0]
			for _, part := range rows[o][1:] {
				add(sums[o], part)
				n.parts.Put(part)
			}
		}
	})
	return sums, err
}

func add(sum, a *model.Adapter) {
	dense.Axpy(sum.Down, 1, a.Down)
	dense.Axpy(sum.Up, 1, a.Up)
	dense.Axpy(sum.DownBias, 1, a.DownBias)
	dense.Axpy(sum.UpBias, 1, a.UpBias)
	dense.Axpy(sum.Norm, 1, a.Norm)
}

// scratch is the memory of one row's pass, used again by the next.
type scratch struct {
	memory []float32
	at     int
}

// take is n values, whatever they are.
func (s *scratch) take(n int) []float32 {
	if s.at+n > len(s.memory) { // what was taken before stays in the old memory
		s.memory, s.at = make([]float32, 2*len(s.memory)+n), 0
	}
	s.at += n
	return s.memory[s.at-n : s.at : s.at]
}
