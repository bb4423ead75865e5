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
// time is checked; a bad one is ErrCorrupt. The caller frees the result; after an error there is none. Cost: N=150, k=50, L=6, d=384, b=24 reads 22 MB,
// in less time than a copy of them takes.
func (b *Bank) Fold(s *torch.Scope, mask *bitmask.Mask, affine []float32) (*Folded, error) {
	fs, errs := b.FoldMany(s, []*bitmask.Mask{mask}, [][]float32{affine})
	return fs[0], errs[0]
}

// FoldMany is Fold of several masks, each with its affine, to the same bits, in one pass over the bank: what several of them select is in a cache
// for all but the first. Each has a result or an error; one's error is not another's. All results are in memory together: bound their number.
func (b *Bank) FoldMany(s *torch.Scope, masks []*bitmask.Mask, affines [][]float32) ([]*Folded, []error) {
	fs, errs := make([]*Folded, len(masks)), make([]error, len(masks))
	ready := b.Materialise(s)
	var jobs []*job
	for i, m := range masks {
		if errs[i] = ready; ready == nil {
			errs[i] = b.check(m, affines[i])
		}
		if errs[i] == nil {
			jobs = append(jobs, b.newJob(s, i, m, affines[i]))
		}
	}
	if len(jobs) == 0 {
		return fs, errs
	}
	for _, side := range []Side{Down, Up} {
		for l := range b.props.Blocks {
			b.foldBlock(s, jobs, side, l)
		}
	}
	for _, j := range jobs {
		fs[j.at] = j.keep(s, b.props) // all are made: no operator can fail after the first is kept
	}
	return fs, errs
}

// check says whether mask can be folded, and makes the rows that it selects ready.
func (b *Bank) check(m *bitmask.Mask, affine []float32) error {
	p := b.props
	if m.N != p.N || m.Blocks != p.Blocks {
		return fmt.Errorf("%w: mask of N=%d, L=%d for a bank of N=%d, L=%d", ErrInvalid, m.N, m.Blocks, p.N, p.Blocks)
	}
	if affine != nil && p.NormB && len(affine) != p.AffineElems() {
		return fmt.Errorf("%w: affine of %d values, want %d", ErrInvalid, len(affine), p.AffineElems())
	}
	var ids []int32
	for i := range 2 * p.Blocks {
		side, l := Side(i/p.Blocks), i%p.Blocks
		if ids = m.Indices(side, l, ids[:0]); len(ids) == 0 {
			return fmt.Errorf("%w: a mask without ones", ErrInvalid)
		}
		if err := b.need(side, l, ids); err != nil {
			return err
		}
	}
	return nil
}

// job is a fold under way.
type job struct {
	at      int // among the masks
	mask    *bitmask.Mask
	weights [2]torch.Tensor // [L,d,b] and [L,b,d]
	bias    [2]torch.Tensor // [L,b] and [L,d], none without biases
	norm    torch.Tensor    // [L,2,b], none without LN_b
}

func (b *Bank) newJob(s *torch.Scope, at int, m *bitmask.Mask, affine []float32) *job {
	p, j := b.props, &job{at: at, mask: m}
	L := int64(p.Blocks)
	for _, side := range []Side{Down, Up} {
		rows, cols := p.Shape(side)
		j.weights[side] = s.Empty(torch.Float32, L, int64(rows), int64(cols))
		if p.Bias {
			j.bias[side] = s.Empty(torch.Float32, L, int64(p.BiasElems(side)))
		}
	}
	if p.NormB {
		if affine == nil {
			affine = b.affine
		}
		j.norm = s.Float32s(affine, L, 2, int64(p.Bottleneck))
	}
	return j
}

func (b *Bank) foldBlock(s *torch.Scope, jobs []*job, side Side, l int) {
	var ids, ends []int32
	var weights, biases []torch.Tensor
	for _, j := range jobs {
		ids = j.mask.Indices(side, l, ids)
		ends = append(ends, int32(len(ids)))
		weights, biases = append(weights, j.weights[side]), append(biases, j.bias[side])
	}
	s.MeanRowsInto(weights, int64(l), b.rows[side][l], ids, ends)
	if b.props.Bias {
		s.MeanRowsInto(biases, int64(l), b.bias[side][l], ids, ends)
	}
}

func (j *job) keep(s *torch.Scope, p Properties) *Folded {
	f := &Folded{props: p, down: s.Keep(j.weights[Down]), up: s.Keep(j.weights[Up])}
	if p.Bias {
		f.biasA, f.biasB = s.Keep(j.bias[Down]), s.Keep(j.bias[Up])
	}
	if p.NormB {
		f.norm = s.Keep(j.norm)
	}
	return f
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
	if err := b.need(side, block, ids); err != nil {
		return weights, bias, err
	}
	ends := torch.Bags(len(ids), profiles)
	weights = s.MeanRows(b.rows[side][block], ids, ends)
	if b.props.Bias {
		bias = s.MeanRows(b.bias[side][block], ids, ends)
	}
	return weights, bias, nil
}

// need makes rows ready for use: it keeps a bad index from libtorch, compares the CRCs of a file's rows, and generates a random bank's, each once.
func (b *Bank) need(side Side, block int, ids []int32) error {
	check := b.props.checkRow
	if b.file != nil {
		check = b.file.CheckRow
	}
	for _, id := range ids {
		if err := check(side, block, int(id)); err != nil {
			return err
		}
	}
	if b.lazy == nil {
		return nil
	}
	return b.lazy.need(side, block, ids)
}

// Rows is one side of a block as tensors: weights [N,d·b] and bias (none without biases), in float32: what a soft mask and a mask's gradient are
// products with. All of a warm bank's rows are checked first, and all of a random bank's generated.
func (b *Bank) Rows(s *torch.Scope, side Side, block int) (weights, bias torch.Tensor, err error) {
	if err := b.Materialise(s); err != nil {
		return weights, bias, err
	}
	all := make([]int32, b.props.N)
	for i := range all {
		all[i] = int32(i)
	}
	if err := b.need(side, block, all); err != nil {
		return weights, bias, err
	}
	weights = s.ToFloat32(b.rows[side][block])
	if b.props.Bias {
		bias = s.ToFloat32(b.bias[side][block])
	}
	return weights, bias, nil
}

// Bytes is the memory that f takes.
func (f *Folded) Bytes() int64 { return f.props.FoldedBytes() }

// Free frees the tensors. It is idempotent and safe on nil. No forward pass may use f.
func (f *Folded) Free() {
	if f == nil {
		return
	}
	for _, h := range f.parts() {
		h.Free()
	}
}

func (f *Folded) parts() []*torch.Held {
	return []*torch.Held{f.down, f.up, f.biasA, f.biasB, f.norm}
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
