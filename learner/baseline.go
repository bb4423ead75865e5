//go:build cgo

package learner

import (
	"math/rand/v2"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// adapterSource trains one adapter: the baseline single_adapter, AdapterHub's Pfeiffer with ReLU, biases and no LN_b.
type adapterSource struct {
	L, d, b int
	parts   [4]*param // Down [L,d,b], its bias [L,b], Up [L,b,d], its bias [L,d]
}

// newAdapterSource starts as AdapterHub does: N(0, 0.02²) weights and zero biases.
func newAdapterSource(L, d, b int, rate float64, rng *rand.Rand) *adapterSource {
	a := &adapterSource{L: L, d: d, b: b}
	for i, n := range []int{d * b, b, b * d, d} {
		value := make([]float32, L*n)
		if i%2 == 0 {
			for j := range value {
				value[j] = float32(0.02 * rng.NormFloat64())
			}
		}
		a.parts[i] = newParam(value, rate)
	}
	return a
}

func (a *adapterSource) params() []*param { return a.parts[:] }

func (a *adapterSource) fold(s *torch.Scope, _ []float64) (parts []part, err error) {
	L, d, b := int64(a.L), int64(a.d), int64(a.b)
	for i, shape := range [][]int64{{L, d, b}, {L, b}, {L, b, d}, {L, d}} {
		parts = append(parts, part{s.Float32s(a.parts[i].value, shape...), true, false})
	}
	return parts, nil
}

func (a *adapterSource) adapter(s *torch.Scope, parts rowParts) *model.Adapter {
	m, t := &model.Adapter{Activation: model.ReLU}, parts.list
	for l := range int64(a.L) {
		m.Blocks = append(m.Blocks, model.BlockAdapter{
			Down: s.Select(t[0], 0, l), DownBias: s.Select(t[1], 0, l),
			Up: s.Select(t[2], 0, l), UpBias: s.Select(t[3], 0, l),
		})
	}
	return m
}

func (a *adapterSource) backward(s *torch.Scope, grads []torch.Tensor) error {
	for _, p := range a.parts {
		if err := read(s, &grads, p.grad); err != nil {
			return err
		}
	}
	return nil
}
