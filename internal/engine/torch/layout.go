//go:build torch && cgo

package torch

import (
	"fmt"

	"github.com/xpeft/xpeft/model"
)

// The parts of an adapter in one block, in the order of layout.
const (
	down = iota
	up
	downBias
	upBias
	normB
	parts
)

// layout says where an adapter's values lie in a row of n: block by block, in each Down [d,b], Up
// [b,d], the biases [b] and [d] and Norm [2,b], of those that it has. Adapters of one layout can
// share a batch.
type layout struct {
	blocks, d, b int
	relu         bool
	targets      model.Targets
	has          [parts]bool
}

// partsOf are an adapter's slices, in order.
func partsOf(a *model.Adapter) [parts][]float32 {
	return [parts][]float32{a.Down, a.Up, a.DownBias, a.UpBias, a.Norm}
}

// layoutOf refuses an adapter that does not fit the blocks of a model of d values, in a pass that
// begins at block from's residual sum, or at the embeddings if that is -1.
func layoutOf(a *model.Adapter, blocks, from, d int) (layout, error) {
	l := layout{blocks: a.Blocks, d: d, b: a.Bottleneck, relu: a.Activation == model.ReLU, targets: a.Targets}
	fits := a.Blocks >= 1 && a.Blocks <= blocks && a.Reach() <= blocks-from && a.Bottleneck >= 1
	for i, x := range partsOf(a) {
		l.has[i] = x != nil
		fits = fits && (i > up && x == nil || len(x) == a.Blocks*l.full(i))
	}
	if a.Targets != 0 {
		fits = fits && a.Targets.Valid() && a.Bottleneck%a.Targets.Count() == 0 && a.Activation == model.Identity &&
			!l.has[downBias] && !l.has[upBias] && !l.has[normB]
	}
	if !fits {
		return l, fmt.Errorf("torch: an adapter of %d blocks, b=%d, that does not fit %d blocks of %d values",
			a.Blocks, a.Bottleneck, blocks-max(from, 0), d)
	}
	return l, nil
}

// full is the size of a part in one block of an adapter that has it.
func (l layout) full(part int) int {
	return [parts]int{l.d * l.b, l.b * l.d, l.b, l.d, 2 * l.b}[part]
}

// size is full, or 0.
func (l layout) size(part int) int {
	if !l.has[part] {
		return 0
	}
	return l.full(part)
}

// n is the number of values.
func (l layout) n() int { return l.at(l.blocks, down) }

// at is where a part in a block begins.
func (l layout) at(block, part int) (at int) {
	for i := range parts {
		at += block * l.size(i)
		if i < part {
			at += l.size(i)
		}
	}
	return at
}

// each calls f with every part's values in the adapter and in the row.
func (l layout) each(a *model.Adapter, row []float32, f func(part, values []float32)) {
	for i, x := range partsOf(a) {
		n := l.size(i)
		for block := range l.blocks {
			at := l.at(block, i)
			f(x[block*n:(block+1)*n], row[at:at+n])
		}
	}
}

// pack copies an adapter into a row; nil leaves zeros, which change nothing.
func (l layout) pack(row []float32, a *model.Adapter) {
	clear(row)
	if a != nil {
		l.each(a, row, func(part, values []float32) { copy(values, part) })
	}
}

// add adds a row to an adapter.
func (l layout) add(a *model.Adapter, row []float32) {
	l.each(a, row, func(part, values []float32) {
		for i, v := range values {
			part[i] += v
		}
	})
}
