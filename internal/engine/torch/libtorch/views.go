//go:build torch && cgo

package libtorch

import "github.com/sugarme/gotch/libtch"

// Views and joins. A view shares its operand's memory and keeps it alive.

func (s *Scope) View(a Tensor, shape ...int64) Tensor {
	libtch.AtgView(s.out(), a.c, shape, len(shape))
	return s.made("view")
}

// Reshape is a view where it can be, else a copy.
func (s *Scope) Reshape(a Tensor, shape ...int64) Tensor {
	libtch.AtgReshape(s.out(), a.c, shape, len(shape))
	return s.made("reshape")
}

func (s *Scope) Transpose(a Tensor, i, j int64) Tensor {
	libtch.AtgTranspose(s.out(), a.c, i, j)
	return s.made("transpose")
}

func (s *Scope) Contiguous(a Tensor) Tensor {
	libtch.AtgContiguous(s.out(), a.c)
	return s.made("contiguous")
}

// Narrow is a[start:start+length] along dim.
func (s *Scope) Narrow(a Tensor, dim, start, length int64) Tensor {
	libtch.AtgNarrow(s.out(), a.c, dim, start, length)
	return s.made("narrow")
}

// Select is a[index] along dim, which goes away.
func (s *Scope) Select(a Tensor, dim, index int64) Tensor {
	libtch.AtgSelect(s.out(), a.c, dim, index)
	return s.made("select")
}

// Expand repeats dimensions of size 1 without a copy.
func (s *Scope) Expand(a Tensor, shape ...int64) Tensor {
	libtch.AtgExpand(s.out(), a.c, shape, len(shape), 0)
	return s.made("expand")
}

func (s *Scope) Cat(ts []Tensor, dim int64) Tensor {
	libtch.AtgCat(s.out(), handles(ts), len(ts), dim)
	return s.made("cat")
}

func handles(ts []Tensor) []libtch.Ctensor {
	if len(ts) == 0 {
		panic(&Error{Op: "join", Msg: "no tensors"})
	}
	cs := make([]libtch.Ctensor, len(ts))
	for i, t := range ts {
		cs[i] = t.c
	}
	return cs
}
