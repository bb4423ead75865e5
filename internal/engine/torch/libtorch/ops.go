//go:build torch && cgo

package libtorch

import "github.com/sugarme/gotch/libtch"

// Elementwise operators. Shapes broadcast as in libtorch.

func (s *Scope) Add(a, b Tensor) Tensor {
	libtch.AtgAdd(s.out(), a.c, b.c)
	return s.made("add")
}

func (s *Scope) Mul(a, b Tensor) Tensor {
	libtch.AtgMul(s.out(), a.c, b.c)
	return s.made("mul")
}

func (s *Scope) ReLU(a Tensor) Tensor {
	libtch.AtgRelu(s.out(), a.c)
	return s.made("relu")
}

func (s *Scope) Tanh(a Tensor) Tensor {
	libtch.AtgTanh(s.out(), a.c)
	return s.made("tanh")
}

// GELU is the exact one; tanh asks for its tanh approximation.
func (s *Scope) GELU(a Tensor, tanh bool) Tensor {
	gelu(s.out(), a.c, tanh)
	return s.made("gelu")
}

// Softmax is over the last dimension.
func (s *Scope) Softmax(a Tensor) Tensor {
	libtch.AtgSoftmax(s.out(), a.c, -1, int32(Float32))
	return s.made("softmax")
}

// ToFloat32 converts; a float32 tensor is shared, not copied.
func (s *Scope) ToFloat32(a Tensor) Tensor {
	libtch.AtgToDtype(s.out(), a.c, int32(Float32), 0, 0)
	return s.made("to float32")
}

// CopyFloat32 converts into memory of its own.
func (s *Scope) CopyFloat32(a Tensor) Tensor {
	libtch.AtgToDtype(s.out(), a.c, int32(Float32), 0, 1)
	return s.made("copy")
}

// Products.

func (s *Scope) MatMul(a, b Tensor) Tensor {
	libtch.AtgMatmul(s.out(), a.c, b.c)
	return s.made("matmul")
}

// BMM is a batched product: [n,x,y] by [n,y,z].
func (s *Scope) BMM(a, b Tensor) Tensor {
	libtch.AtgBmm(s.out(), a.c, b.c)
	return s.made("bmm")
}

// AddBMM is base + scale·(a b), batched.
func (s *Scope) AddBMM(base, a, b Tensor, scale float64) Tensor {
	one, by := libtch.AtsFloat(1), libtch.AtsFloat(scale)
	defer libtch.AtsFree(one)
	defer libtch.AtsFree(by)
	libtch.AtgBaddbmm(s.out(), base.c, a.c, b.c, one, by)
	return s.made("addbmm")
}

// Linear is x wᵀ + bias, as in a checkpoint: w [out,in]; bias may be none.
func (s *Scope) Linear(x, w, bias Tensor) Tensor {
	libtch.AtgLinear(s.out(), x.c, w.c, bias.c)
	return s.made("linear")
}

// LayerNorm is over the last dimension, of size n; weight and bias may be none.
func (s *Scope) LayerNorm(x, weight, bias Tensor, n int64, eps float64) Tensor {
	libtch.AtgLayerNorm(s.out(), x.c, []int64{n}, 1, weight.c, bias.c, eps, 0)
	return s.made("layer norm")
}

// Lookups. Indices must be in range: on CUDA a bad one ends the process, so callers check in Go.

// Embedding is rows of table [n,x] by ids of any shape.
func (s *Scope) Embedding(table, ids Tensor) Tensor {
	libtch.AtgEmbedding(s.out(), table.c, ids.c, -1, 0, 0)
	return s.made("embedding")
}

// IndexSelect picks along a dimension.
func (s *Scope) IndexSelect(a Tensor, dim int64, index Tensor) Tensor {
	libtch.AtgIndexSelect(s.out(), a.c, dim, index.c)
	return s.made("index select")
}

// Reductions.

func (s *Scope) SumDim(a Tensor, dim ...int64) Tensor {
	libtch.AtgSumDimIntlist(s.out(), a.c, dim, len(dim), 0, int32(Float32))
	return s.made("sum")
}

// SumRows adds up rows of table [n,x]: bag i the rows ids[offsets[i]:offsets[i+1]]; [bags,x].
func (s *Scope) SumRows(table, ids, offsets Tensor) Tensor {
	const sum = 0
	libtch.AtgEmbeddingBag(s.out(), table.c, ids.c, offsets.c, 0, sum, 0, nil, 0)
	for _, extra := range s.slot[1:] { // of its four results the first is wanted
		if extra != nil {
			libtch.AtFree(extra)
		}
	}
	return s.made("embedding bag")
}
