//go:build cgo

package torch

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// Gather picks rows for a batch out of many tensors of one shape. It is valid while they and its scope are.
type Gather struct {
	scope *Scope
	ts    []Tensor // [m,…], or none
	owner []int
	entry []int64 // the shape of a row
	m     int64
}

// NewGather prepares a batch whose row i is of ts[owner[i]]: a tensor [m,…] in float32, contiguous, or none, which stands for zeros. One of ts at least must be
// a tensor.
func (s *Scope) NewGather(ts []Tensor, owner []int) *Gather {
	g := &Gather{scope: s, ts: ts, owner: owner}
	var first []int64
	for _, t := range ts {
		if t.c == nil {
			continue
		}
		shape := s.Shape(t)
		if first == nil {
			first = shape
		}
		if len(shape) == 0 || !slices.Equal(shape, first) || !s.plain(t, Float32) {
			panic(badGather("rows of %v and of %v", shape, first))
		}
	}
	if first == nil {
		panic(badGather("no tensor among %d", len(ts)))
	}
	for _, o := range owner {
		if o < 0 || o >= len(ts) {
			panic(badGather("tensor %d of %d", o, len(ts)))
		}
	}
	g.m, g.entry = first[0], first[1:]
	return g
}

func badGather(format string, args ...any) *Error {
	return &Error{Op: "gather", Msg: fmt.Sprintf(format, args...)}
}

// Rows is entry at of each row's tensor, [len(owner),…], copied once.
func (g *Gather) Rows(at int64) Tensor {
	if at < 0 || at >= g.m {
		panic(badGather("entry %d of %d", at, g.m))
	}
	if g.scope.engine.device != codeCPU {
		return g.byOperators(at)
	}
	n := product(g.entry) * Float32.Size()
	out := g.scope.empty(Float32, codeCPU, append([]int64{int64(len(g.owner))}, g.entry...))
	if n == 0 {
		return out
	}
	to := libtch.AtDataPtr(out.c)
	for i, o := range g.owner {
		row := unsafe.Slice((*byte)(unsafe.Add(to, int64(i)*n)), n)
		if t := g.ts[o]; t.c == nil {
			clear(row)
		} else {
			copy(row, unsafe.Slice((*byte)(unsafe.Add(libtch.AtDataPtr(t.c), at*n)), n))
		}
	}
	return out
}

// byOperators is Rows for every device: each tensor's entry once, then the rows.
func (g *Gather) byOperators(at int64) Tensor {
	s := g.scope
	return s.Block(func() Tensor {
		entries, index := make([]Tensor, len(g.ts)), make([]int64, len(g.owner))
		zeros := s.Zeros(Float32, g.entry...)
		for i, t := range g.ts {
			if entries[i] = zeros; t.c != nil {
				entries[i] = s.Select(t, 0, at)
			}
		}
		for i, o := range g.owner {
			index[i] = int64(o)
		}
		return s.IndexSelect(s.Stack(entries), 0, s.Int64s(index, int64(len(index))))
	})
}
