//go:build cgo

package bank

import (
	"fmt"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Folded is one profile's adapter: Â and B̂ of every block, ready to be applied. It belongs to whoever folded it; any number of forward
// passes may share it.
type Folded struct {
	props Properties
	down  *torch.Held // [L,d,b]
	up    *torch.Held // [L,b,d]
	biasA *torch.Held // [L,b] or nil
	biasB *torch.Held // [L,d] or nil
	norm  *torch.Held // [L,2,b] or nil without LN_b
}

// Fold averages the k adapters that each row of mask selects, in float32, and reads no others: Â_l = Σ M_A[l,i] A_i,l. affine is LN_b's,
// [L][2][b]; nil means the bank's default. The relative error is at most 1e-6. Of a warm bank every row that is read for the first
// time is checked; a bad one is ErrCorrupt. The caller frees the result; after an error there is none.
func (b *Bank) Fold(s *torch.Scope, mask *bitmask.Mask, affine []float32) (*Folded, error) {
	p := b.props
	if mask.N != p.N || mask.Blocks != p.Blocks {
		return nil, fmt.Errorf("%w: mask of N=%d, L=%d for a bank of N=%d, L=%d", ErrInvalid, mask.N, mask.Blocks, p.N, p.Blocks)
	}
	if affine == nil {
		affine = b.affine
	}
	if p.NormB && len(affine) != p.AffineElems() {
		return nil, fmt.Errorf("%w: affine of %d values, want %d", ErrInvalid, len(affine), p.AffineElems())
	}
	var side [2]struct{ weights, bias []torch.Tensor }
	var ids []int32
	for _, sd := range []Side{Down, Up} {
		for l := range p.Blocks {
			ids = mask.Indices(sd, l, ids[:0])
			w, bias, err := b.FoldRows(s, sd, l, ids, 1)
			if err != nil {
				return nil, err
			}
			side[sd].weights = append(side[sd].weights, w)
			side[sd].bias = append(side[sd].bias, bias)
		}
	}
	L, d, bn := int64(p.Blocks), int64(p.Hidden), int64(p.Bottleneck)
	var t [5]torch.Tensor
	t[0] = joinBlocks(s, side[Down].weights, L, d, bn)
	t[1] = joinBlocks(s, side[Up].weights, L, bn, d)
	if p.Bias {
		t[2], t[3] = joinBlocks(s, side[Down].bias, L, bn), joinBlocks(s, side[Up].bias, L, d)
	}
	if p.NormB {
		t[4] = s.Float32s(affine, L, 2, bn)
	}
	f := &Folded{props: p}
	for i, h := range []**torch.Held{&f.down, &f.up, &f.biasA, &f.biasB, &f.norm} {
		if t[i].Defined() { // all are made: no operator can fail after the first is kept
			*h = s.Keep(t[i])
		}
	}
	return f, nil
}

// joinBlocks makes one tensor of the blocks' and frees those: many folds may share a scope.
func joinBlocks(s *torch.Scope, blocks []torch.Tensor, shape ...int64) torch.Tensor {
	t := s.Block(func() torch.Tensor { return s.View(s.Cat(blocks, 0), shape...) })
	s.Free(blocks...)
	return t
}

// FoldRows folds one side of one block for several profiles at once: ids holds k adapters for each, one profile after another.
// weights is [profiles,d·b]; bias is [profiles,b] or [profiles,d], none without biases.
func (b *Bank) FoldRows(s *torch.Scope, side Side, block int, ids []int32, profiles int) (weights, bias torch.Tensor, err error) {
	if err := b.Materialise(s); err != nil {
		return weights, bias, err
	}
	if profiles < 1 || len(ids) == 0 || len(ids)%profiles != 0 {
		return weights, bias, fmt.Errorf("%w: %d adapters for %d profiles", ErrInvalid, len(ids), profiles)
	}
	index := make([]int64, len(ids))
	for i, id := range ids {
		if err := b.checkRow(side, block, int(id)); err != nil {
			return weights, bias, err
		}
		index[i] = int64(id)
	}
	mean := func(rows torch.Tensor) torch.Tensor {
		return s.Block(func() torch.Tensor { return b.meanRows(s, rows, index, profiles) })
	}
	weights = mean(b.rows[side][block])
	if b.props.Bias {
		bias = mean(b.bias[side][block])
	}
	return weights, bias, nil
}

// checkRow keeps a bad index from libtorch, and a row of a file from being used before its CRC was compared.
func (b *Bank) checkRow(side Side, block, adapter int) error {
	if b.file != nil {
		return b.file.CheckRow(side, block, adapter)
	}
	return b.props.checkRow(side, block, adapter)
}

func (b *Bank) meanRows(s *torch.Scope, rows torch.Tensor, index []int64, profiles int) torch.Tensor {
	k := len(index) / profiles
	ids := s.Int64s(index, int64(len(index)))
	if b.props.DType == F16 {
		// A bag's mean would be rounded to float16: widen the k rows first.
		picked := s.ToFloat32(s.IndexSelect(rows, 0, ids))
		width := s.Shape(picked)[1]
		return s.MeanDim(s.View(picked, int64(profiles), int64(k), width), false, 1)
	}
	offsets := make([]int64, profiles)
	for i := range offsets {
		offsets[i] = int64(i * k)
	}
	return s.MeanRows(rows, ids, s.Int64s(offsets, int64(profiles)))
}

// Rows is one side of a block as tensors: weights [N,d·b] and bias (none without biases), in float32: what a soft mask and a mask's gradient are
// products with. All of a warm bank's rows are checked first.
func (b *Bank) Rows(s *torch.Scope, side Side, block int) (weights, bias torch.Tensor, err error) {
	if err := b.Materialise(s); err != nil {
		return weights, bias, err
	}
	for i := range b.props.N {
		if b.file == nil {
			break
		}
		if err := b.file.CheckRow(side, block, i); err != nil {
			return weights, bias, err
		}
	}
	weights = s.ToFloat32(b.rows[side][block])
	if b.props.Bias {
		bias = s.ToFloat32(b.bias[side][block])
	}
	return weights, bias, nil
}

// Bytes is the memory that f takes.
func (f *Folded) Bytes() int64 {
	p := f.props
	n := 2 * p.Elems()
	if p.Bias {
		n += p.Bottleneck + p.Hidden
	}
	if p.NormB {
		n += 2 * p.Bottleneck
	}
	return 4 * int64(n) * int64(p.Blocks)
}

// Free frees the tensors. It is idempotent and safe on nil. No forward pass may use f.
func (f *Folded) Free() {
	if f == nil {
		return
	}
	for _, h := range []*torch.Held{f.down, f.up, f.biasA, f.biasB, f.norm} {
		h.Free()
	}
}

// NewAdapter is an adapter of the bank's kind, with its blocks still to be filled.
func (p Properties) NewAdapter() *model.Adapter {
	a := &model.Adapter{Activation: model.Identity, NormB: p.NormB, Blocks: make([]model.BlockAdapter, p.Blocks)}
	if p.Activation == ReLU {
		a.Activation = model.ReLU
	}
	return a
}

// Adapter is f for every row of a batch. It is made of views of f, valid in s.
func (f *Folded) Adapter(s *torch.Scope) *model.Adapter {
	a := f.props.NewAdapter()
	for l := range int64(f.props.Blocks) {
		blk := model.BlockAdapter{Down: s.Select(f.down.Tensor, 0, l), Up: s.Select(f.up.Tensor, 0, l)}
		if f.props.Bias {
			blk.DownBias, blk.UpBias = s.Select(f.biasA.Tensor, 0, l), s.Select(f.biasB.Tensor, 0, l)
		}
		if f.props.NormB {
			n := s.Select(f.norm.Tensor, 0, l)
			blk.NormWeight, blk.NormBias = s.Select(n, 0, 0), s.Select(n, 0, 1)
		}
		a.Blocks[l] = blk
	}
	return a
}
