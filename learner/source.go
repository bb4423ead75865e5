package learner

import (
	"context"
	"math/rand/v2"

	"github.com/xpeft/xpeft/model"
)

// source is what fills the adapter's place during training: masks over a bank, one adapter, or
// nothing.
type source interface {
	// fold makes a step's adapters, one a profile. nu is the noise of each.
	fold(ctx context.Context, nu []float64) ([]*model.Adapter, error)
	// backward turns the gradients by what fold made into its params'.
	backward(ctx context.Context, grads []*model.Adapter) error
	params() []*param
}

// solo is the adapter of a source with one profile, without noise; nil for the bare encoder.
func solo(ctx context.Context, src source) (*model.Adapter, error) {
	as, err := src.fold(ctx, []float64{0})
	if err != nil || len(as) == 0 {
		return nil, err
	}
	return as[0], nil
}

// none is the bare encoder.
type none struct{}

func (none) fold(context.Context, []float64) ([]*model.Adapter, error) { return nil, nil }
func (none) backward(context.Context, []*model.Adapter) error          { return nil }
func (none) params() []*param                                          { return nil }

// adapterSource trains one adapter: the baseline single_adapter, AdapterHub's Pfeiffer with ReLU,
// biases and no LN_b.
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

// fold is the params themselves, in place.
func (a *adapterSource) fold(context.Context, []float64) ([]*model.Adapter, error) {
	p := a.parts
	return []*model.Adapter{{Blocks: a.L, Bottleneck: a.b, Activation: model.ReLU,
		Down: p[0].value, DownBias: p[1].value, Up: p[2].value, UpBias: p[3].value}}, nil
}

func (a *adapterSource) backward(_ context.Context, grads []*model.Adapter) error {
	g := grads[0]
	for i, part := range [][]float32{g.Down, g.DownBias, g.Up, g.UpBias} {
		copy(a.parts[i].grad, part)
	}
	return nil
}
