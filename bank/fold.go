package bank

import (
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/model"
)

// Fold averages the k adapters that each row of mask selects, in float32, and reads no others: Â_l
// = Σ M_A[l,i] A_i,l. affine is LN_b's, [L][2][b]; nil means the bank's default. The relative error
// is at most 1e-6. Of a warm bank every row that is read for the first time is checked; a bad one
// is ErrCorrupt. Cost: N=150, k=50, L=6, d=384, b=24 reads 22 MB, in less time than a copy of them
// takes.
func (b *Bank) Fold(mask *bitmask.Mask, affine []float32) (*model.Adapter, error) {
	fs, errs := b.FoldMany([]*bitmask.Mask{mask}, [][]float32{affine})
	return fs[0], errs[0]
}

// FoldMany is Fold of several masks, each with its affine, to the same bits, in one pass over the
// bank: what several of them select is in a cache for all but the first. Each has a result or an
// error; one's error is not another's. All results are in memory together: bound their number.
func (b *Bank) FoldMany(masks []*bitmask.Mask, affines [][]float32) ([]*model.Adapter, []error) {
	fs, errs := make([]*model.Adapter, len(masks)), make([]error, len(masks))
	for i, m := range masks {
		if errs[i] = b.check(m, affines[i]); errs[i] == nil {
			fs[i] = b.newAdapter(affines[i])
		}
	}
	for i := range 2 * b.props.Blocks {
		side, l := Side(i/b.props.Blocks), i%b.props.Blocks
		for j, m := range masks {
			if fs[j] == nil {
				continue
			}
			if errs[j] = b.foldBlock(fs[j], m, side, l); errs[j] != nil {
				fs[j] = nil
			}
		}
	}
	return fs, errs
}

// check says whether mask can be folded.
func (b *Bank) check(m *bitmask.Mask, affine []float32) error {
	p := b.props
	if m.N != p.N || m.Blocks != p.Blocks {
		return fmt.Errorf("%w: mask of N=%d, L=%d for a bank of N=%d, L=%d", ErrInvalid, m.N, m.Blocks, p.N, p.Blocks)
	}
	if affine != nil && p.NormB && len(affine) != p.AffineElems() {
		return fmt.Errorf("%w: affine of %d values, want %d", ErrInvalid, len(affine), p.AffineElems())
	}
	return nil
}

// newAdapter is one with its norm, whose projections are still to be filled.
func (b *Bank) newAdapter(affine []float32) *model.Adapter {
	a := b.props.NewAdapter()
	if affine == nil {
		affine = b.affine
	}
	copy(a.Norm, affine)
	return a
}

// foldBlock fills one side of a block of a.
func (b *Bank) foldBlock(a *model.Adapter, m *bitmask.Mask, side Side, l int) error {
	ids := m.Indices(side, l, nil)
	if len(ids) == 0 {
		return fmt.Errorf("%w: a mask without ones", ErrInvalid)
	}
	t, err := b.rows(side, l, ids)
	if err != nil {
		return err
	}
	weights, bias := a.Down, a.DownBias
	if side == Up {
		weights, bias = a.Up, a.UpBias
	}
	n, nb := b.props.Elems(), b.props.BiasElems(side)
	t.weights.mean(weights[l*n:(l+1)*n], ids)
	if bias != nil {
		t.bias.mean(bias[l*nb:(l+1)*nb], ids)
	}
	return nil
}

// FoldRows folds one side of one block for several profiles at once: ids holds k adapters for each,
// one profile after another. weights is [profiles,d·b]; bias is [profiles,b] or [profiles,d], nil
// without biases.
func (b *Bank) FoldRows(side Side, block int, ids []int32, profiles int) (weights, bias []float32, err error) {
	if profiles < 1 || len(ids) == 0 || len(ids)%profiles != 0 {
		return nil, nil, fmt.Errorf("%w: %d adapters for %d profiles", ErrInvalid, len(ids), profiles)
	}
	t, err := b.rows(side, block, ids)
	if err != nil {
		return nil, nil, err
	}
	n, nb := b.props.Elems(), b.props.BiasElems(side)
	weights = make([]float32, profiles*n)
	if nb > 0 {
		bias = make([]float32, profiles*nb)
	}
	at := 0
	for some := range slices.Chunk(ids, len(ids)/profiles) {
		t.weights.mean(weights[at*n:(at+1)*n], some)
		if nb > 0 {
			t.bias.mean(bias[at*nb:(at+1)*nb], some)
		}
		at++
	}
	return weights, bias, nil
}

// Rows is one side of a block: weights [N,d·b] and bias (nil without biases), in float32: what a
// soft mask and a mask's gradient are products with. They are views where the bank is float32: do
// not write them. All of a warm bank's rows are checked first, and all of a random bank's
// generated.
func (b *Bank) Rows(side Side, block int) (weights, bias []float32, err error) {
	all := make([]int32, b.props.N)
	for i := range all {
		all[i] = int32(i)
	}
	t, err := b.rows(side, block, all)
	if err != nil {
		return nil, nil, err
	}
	if b.props.Bias {
		bias = t.bias.wide()
	}
	return t.weights.wide(), bias, nil
}

// NewAdapter is an adapter of the bank's kind, of zeros.
func (p Properties) NewAdapter() *model.Adapter {
	n := p.Blocks * p.Elems()
	a := &model.Adapter{Blocks: p.Blocks, Bottleneck: p.Bottleneck, Targets: p.Targets,
		Down: make([]float32, n), Up: make([]float32, n)}
	if p.Activation == ReLU {
		a.Activation = model.ReLU
	}
	if p.Bias {
		a.DownBias, a.UpBias = make([]float32, p.Blocks*p.Bottleneck), make([]float32, p.Blocks*p.Hidden)
	}
	if p.NormB {
		a.Norm = make([]float32, p.AffineElems())
	}
	return a
}
