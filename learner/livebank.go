//go:build cgo

package learner

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// liveBank is a bank under training: its rows are params, in Go, and tensors for the length of a step.
type liveBank struct {
	props bank.Properties // of the warm bank that it becomes
	sides [2][]*param     // of every block, [N,d·b]
	now   [2][]torch.Tensor
}

// newLiveBank starts from random adapters or, with a head, from those that it shapes.
func newLiveBank(p bank.Properties, h *model.Head, sigmaB float64, seed uint64, rate float64) (*liveBank, error) {
	random := p
	random.Origin, random.Seed, random.SigmaA, random.SigmaB = bank.Random, seed, bank.DefaultSigmaA, bank.DefaultSigmaB
	if err := random.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	b := &liveBank{props: p}
	for side := range b.sides {
		for l := range p.Blocks {
			values := make([]float32, p.N*p.Elems())
			if err := random.GenerateBlock(bank.Side(side), l, values); err != nil {
				return nil, err
			}
			b.sides[side] = append(b.sides[side], newParam(values, rate))
		}
	}
	if h == nil {
		return b, nil
	}
	return b, b.shape(h, sigmaB, seed)
}

func (b *liveBank) shape(h *model.Head, sigmaB float64, seed uint64) error {
	row, err := ShapedRows(h, b.props, sigmaB, seed)
	if err != nil {
		return err
	}
	n := b.props.Elems()
	for side := range b.sides {
		for l, p := range b.sides[side] {
			for i := range b.props.N {
				weights, _, err := row(bank.Side(side), l, i)
				if err != nil {
					return err
				}
				copy(p.value[i*n:(i+1)*n], weights)
			}
		}
	}
	return nil
}

func (b *liveBank) params() []*param {
	return append(append([]*param(nil), b.sides[0]...), b.sides[1]...)
}

// upload makes this step's tensors. They hold no copy that outlives s.
func (b *liveBank) upload(s *torch.Scope) {
	for side := range b.sides {
		b.now[side] = b.now[side][:0]
		for _, p := range b.sides[side] {
			b.now[side] = append(b.now[side], s.Float32s(p.value, int64(b.props.N), int64(b.props.Elems())))
		}
	}
}

func (b *liveBank) Properties() bank.Properties { return b.props }

// FoldRows is bank.Bank's.
func (b *liveBank) FoldRows(s *torch.Scope, side bank.Side, block int, ids []int32, profiles int) (weights, bias torch.Tensor, err error) {
	return s.MeanRows(b.now[side][block], ids, torch.Bags(len(ids), profiles)), bias, nil
}

// Rows is bank.Bank's.
func (b *liveBank) Rows(_ *torch.Scope, side bank.Side, block int) (weights, bias torch.Tensor, err error) {
	return b.now[side][block], bias, nil
}

// row is one adapter's half in one block, as bank.Write takes it.
func (b *liveBank) row(side bank.Side, block, adapter int) (weights, bias []float32, err error) {
	n := b.props.Elems()
	return b.sides[side][block].value[adapter*n : (adapter+1)*n], nil, nil
}

// learn takes ∂L/∂Â of the step's profiles, [P,d·b]: an adapter's gradient is that of every fold that it is in, times its weight there.
func (b *liveBank) learn(s *torch.Scope, picked []int32, side bank.Side, block int, grad torch.Tensor) error {
	P := int(s.Shape(grad)[0])
	k := len(picked) / P
	share := make([]float32, b.props.N*P) // [N,P]
	for i, id := range picked {
		share[int(id)*P+i/k] = 1 / float32(k)
	}
	g := s.MatMul(s.Float32s(share, int64(b.props.N), int64(P)), grad)
	return s.ReadFloat32s(g, b.sides[side][block].grad)
}

// uploading is a source whose bank is under training.
type uploading struct {
	*maskSource
	live *liveBank
}

func (u uploading) fold(s *torch.Scope, nu []float64) ([]part, error) {
	u.live.upload(s)
	return u.maskSource.fold(s, nu)
}
