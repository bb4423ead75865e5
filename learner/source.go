//go:build cgo

package learner

import (
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// source is what fills the adapter's place during training: masks over a bank, one adapter, or nothing.
type source interface {
	// fold makes what a step's adapters consist of, for all profiles. nu is the noise of each.
	fold(s *torch.Scope, nu []float64) ([]part, error)
	// adapter is the adapter of some rows, out of fold's parts for them.
	adapter(s *torch.Scope, parts rowParts) *model.Adapter
	// backward turns the trained parts' gradients, in fold's order, into its params'.
	backward(s *torch.Scope, grads []torch.Tensor) error
	params() []*param
}

// part is a tensor that a step computes with.
type part struct {
	torch.Tensor
	trained bool // its gradient is wanted
	each    bool // [P,…], a row for each profile; else what all share
}

// rowParts are a step's parts as some rows see them: of what each profile has its own, one for each row, [B,…], or, for the only profile, [1,…].
type rowParts struct {
	list []torch.Tensor
	rows bool // one for each row
}

// next takes the next one out.
func (p *rowParts) next() torch.Tensor {
	t := p.list[0]
	p.list = p.list[1:]
	return t
}

// solo is the adapter of a source with one profile, without noise and gradients.
func solo(s *torch.Scope, src source) (*model.Adapter, error) {
	parts, err := src.fold(s, []float64{0})
	if err != nil {
		return nil, err
	}
	return src.adapter(s, rowParts{list: tensors(parts)}), nil
}

func tensors(parts []part) []torch.Tensor {
	ts := make([]torch.Tensor, len(parts))
	for i, p := range parts {
		ts[i] = p.Tensor
	}
	return ts
}

// read copies the next gradient into dst. A part that the loss did not reach has none: zeros.
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

func (none) fold(*torch.Scope, []float64) ([]part, error)  { return nil, nil }
func (none) adapter(*torch.Scope, rowParts) *model.Adapter { return nil }
func (none) backward(*torch.Scope, []torch.Tensor) error   { return nil }
func (none) params() []*param                              { return nil }
