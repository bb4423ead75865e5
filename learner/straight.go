package learner

import (
	"context"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// backward is Algorithm 1's straight-through estimate: ∂L/∂M[l,i] = ⟨∂L/∂Â_l, A_i,l⟩ (and the same
// of the biases) goes through the softmax to the logits. LN_b's gradient is the adapter's own.
func (m *maskSource) backward(ctx context.Context, grads []*model.Adapter) error {
	p := m.props
	for i, k := range m.of {
		copy(k.norm.grad, grads[i].Norm)
	}
	for r := range 2 * p.Blocks {
		dm, err := m.inner(ctx, bank.Side(r/p.Blocks), r%p.Blocks, grads)
		if err != nil {
			return err
		}
		dy := make([]float32, p.N)
		for j, k := range m.of {
			for i := range dy {
				dy[i] = dm[i*len(m.of)+j]
			}
			softmaxBackward(k.logits.grad[r*p.N:(r+1)*p.N], k.weights[r*p.N:(r+1)*p.N], dy, m.tau)
		}
	}
	if m.one {
		m.share()
	}
	return nil
}

// share gives both sides of a mask that they share the sum of their gradients.
func (m *maskSource) share() {
	for _, k := range m.of {
		g := k.logits.grad
		down, up := g[:len(g)/2], g[len(g)/2:]
		for i := range down {
			down[i] += up[i]
			up[i] = down[i]
		}
	}
}

// innerRows is how many of a bank's adapters a goroutine takes at a time.
const innerRows = 16

// inner is ⟨∂L/∂Â, A_i⟩ for every adapter and profile, [N,P].
func (m *maskSource) inner(ctx context.Context, side bank.Side, l int, grads []*model.Adapter) ([]float32, error) {
	p, P := m.props, len(m.of)
	weights, biases := make([][]float32, P), make([][]float32, P)
	for i, g := range grads {
		weights[i], biases[i] = half(g, p, side, l)
	}
	if m.learned != nil {
		m.learned(m.picked[int(side)*p.Blocks+l], side, l, weights)
	}
	rows, rowBiases, err := m.bank.Rows(side, m.below+l)
	if err != nil {
		return nil, err
	}
	dm, width, x := make([]float32, p.N*P), p.Elems(), p.BiasElems(side)
	gw, gb := columns(weights), columns(biases)
	err = engine.Each(ctx, (p.N+innerRows-1)/innerRows, func(c int) {
		lo, hi := c*innerRows, min((c+1)*innerRows, p.N)
		products(dm[lo*P:hi*P], rows[lo*width:hi*width], gw, P, false)
		products(dm[lo*P:hi*P], rowBiases[lo*x:hi*x], gb, P, true)
	})
	return dm, err
}

// columns puts the profiles' gradients side by side, [width,P].
func columns(of [][]float32) []float32 {
	P := len(of)
	if P == 1 {
		return of[0]
	}
	out := make([]float32, P*len(of[0]))
	for j, g := range of {
		for i, v := range g {
			out[i*P+j] = v
		}
	}
	return out
}

// products is dm [n,P] = rows [n,width]·g [width,P], or what dm gains by it. Nothing without width.
func products(dm, rows, g []float32, P int, add bool) {
	width := len(g) / P
	switch {
	case width == 0:
	case P > 1:
		dense.Gemm(len(dm)/P, P, width, rows, width, 1, g, P, dm, P, add)
	default:
		for i := range dm {
			x := dense.Dot(rows[i*width:(i+1)*width], g)
			if add {
				x += dm[i]
			}
			dm[i] = x
		}
	}
}
