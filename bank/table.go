package bank

import (
	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/internal/safetensors"
)

// table is one side of a block: the rows of all adapters.
type table struct{ weights, bias entries }

// entries are [N,…] in a bank's type: one of the two, or none.
type entries struct {
	floats []float32
	halves []uint16
}

// mean averages the rows ids, each len(dst) long.
func (e entries) mean(dst []float32, ids []int32) {
	if e.halves != nil {
		dense.MeanHalf(dst, e.halves, ids)
		return
	}
	dense.Mean(dst, e.floats, ids)
}

// wide is all of it in float32, in place where it is.
func (e entries) wide() []float32 {
	if e.halves == nil {
		return e.floats
	}
	out := make([]float32, len(e.halves))
	for i, h := range e.halves {
		out[i] = half.To(h)
	}
	return out
}

// rows gives one side of a block, of which the adapters ids are ready for use: a file's are
// compared with their CRCs, a random bank's generated, each once.
func (b *Bank) rows(side Side, block int, ids []int32) (table, error) {
	b.mu.Lock()
	closed, lazy, tables := b.closed, b.lazy, b.tables
	b.mu.Unlock()
	if closed {
		return table{}, ErrClosed
	}
	check := b.props.checkRow
	if b.file != nil {
		check = b.file.checkedRow
	}
	for _, id := range ids {
		if err := check(side, block, int(id)); err != nil {
			return table{}, err
		}
	}
	if b.file != nil {
		return tables[side][block], nil
	}
	return table{weights: entries{floats: lazy.need(side, block, ids)}}, nil
}

// view is a region in place, or a copy where this machine cannot read it there.
func view(region []byte, t DType) (e entries) {
	if t == F16 {
		if v, ok := safetensors.View[uint16](region); ok {
			e.halves = v
			return e
		}
	} else if v, ok := safetensors.View[float32](region); ok {
		e.floats = v
		return e
	}
	e.floats = make([]float32, len(region)/t.size())
	decodeEntries(e.floats, region, t)
	return e
}
