//go:build cgo

package learner

import (
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// source is what fills the adapter's place during training: masks over a bank, one adapter, or nothing.
type source interface {
	// adapter makes a step's adapter for a batch and returns the tensors whose gradients backward needs, in its order. owner says whose row each is;
	// nil means that all are of the only profile.
	adapter(s *torch.Scope, nu float64, owner []int64) (*model.Adapter, []torch.Tensor, error)
	// backward turns those tensors' gradients into its params'.
	backward(s *torch.Scope, grads []torch.Tensor) error
	params() []*param
}

// leaves collects the tensors that a step wants gradients of.
type leaves struct {
	scope *torch.Scope
	list  []torch.Tensor
}

func (v *leaves) add(t torch.Tensor) torch.Tensor {
	t = v.scope.Param(t)
	v.list = append(v.list, t)
	return t
}

// read copies the next gradient into dst. A leaf that the loss did not reach has none: zeros.
func read(s *torch.Scope, grads *[]torch.Tensor, dst []float32) error {
	g := (*grads)[0]
	*grads = (*grads)[1:]
	if !g.Defined() {
		clear(dst)
		return nil
	}
	return s.ReadFloat32s(g, dst)
}

// none is the bare encoder.
type none struct{}

func (none) adapter(*torch.Scope, float64, []int64) (*model.Adapter, []torch.Tensor, error) {
	return nil, nil, nil
}
func (none) backward(*torch.Scope, []torch.Tensor) error { return nil }
func (none) params() []*param                            { return nil }
