package learner

import (
	"context"

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
