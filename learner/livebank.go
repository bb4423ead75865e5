package learner

import (
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/model"
)

// liveBank is a bank under training: its rows are params.
type liveBank struct {
	props bank.Properties // of the warm bank that it becomes
	sides [2][]*param     // of every block, [N,d·b]
}

// newLiveBank starts from random adapters or, with a head, from those that it shapes.
func newLiveBank(p bank.Properties, h *model.Head, sigmaB float64, seed uint64, rate float64) (*liveBank, error) {
	random := p
	random.Origin, random.Seed, random.SigmaA, random.SigmaB = bank.Random, seed, bank.DefaultSigmaA, bank.DefaultSigmaB
	if err := random.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	n := p.Elems()
	row := func(side bank.Side, block, adapter int) ([]float32, []float32, error) {
		weights := make([]float32, n)
		return weights, nil, random.Generate(side, block, adapter, weights)
	}
	if h != nil {
		var err error
		if row, err = shapedRows(h, p, sigmaB, seed); err != nil {
			return nil, err
		}
	}
	b := &liveBank{props: p}
	for side := range b.sides {
		for l := range p.Blocks {
			values := make([]float32, 0, p.N*n)
			for i := range p.N {
				weights, _, err := row(bank.Side(side), l, i)
				if err != nil {
					return nil, err
				}
				values = append(values, weights...)
			}
			b.sides[side] = append(b.sides[side], newParam(values, rate))
		}
	}
	return b, nil
}

func (b *liveBank) params() []*param {
	return append(append([]*param(nil), b.sides[0]...), b.sides[1]...)
}

func (b *liveBank) Properties() bank.Properties { return b.props }

// FoldRows is bank.Bank's.
func (b *liveBank) FoldRows(side bank.Side, block int, ids []int32, profiles int) (weights, bias []float32, err error) {
	n, k := b.props.Elems(), len(ids)/profiles
	weights = make([]float32, profiles*n)
	for i := range profiles {
		dense.Mean(weights[i*n:(i+1)*n], b.sides[side][block].value, ids[i*k:(i+1)*k])
	}
	return weights, nil, nil
}

// Rows is bank.Bank's.
func (b *liveBank) Rows(side bank.Side, block int) (weights, bias []float32, err error) {
	return b.sides[side][block].value, nil, nil
}

// row is one adapter's half in one block, as bank.Write takes it.
func (b *liveBank) row(side bank.Side, block, adapter int) (weights, bias []float32, err error) {
	n := b.props.Elems()
	return b.sides[side][block].value[adapter*n : (adapter+1)*n], nil, nil
}

// learn takes ∂L/∂Â of the step's profiles: an adapter's gradient is that of every fold that it is
// in, times its weight there.
func (b *liveBank) learn(picked []int32, side bank.Side, block int, grads [][]float32) {
	n, k, all := b.props.Elems(), len(picked)/len(grads), b.sides[side][block].grad
	clear(all)
	for i, id := range picked {
		dense.Axpy(all[int(id)*n:(int(id)+1)*n], 1/float32(k), grads[i/k])
	}
}
