//go:build torch && cgo

package torch

import (
	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
	"github.com/xpeft/xpeft/model"
)

// adapter is one folded adapter for a whole batch, or one for each row of it, on the device.
type adapter struct {
	layout
	values libtorch.Tensor          // [P,n]: each owner's, copied once a pass
	owner  libtorch.Tensor          // [B]: which of them a row has; none: all the only one
	leaves [][parts]libtorch.Tensor // under training, each block's parts as the batch takes them
}

// newAdapter copies the adapters of a batch's rows to the device: as[owner[i]] is that of row i,
// nil one that changes nothing.
func newAdapter(s *libtorch.Scope, l layout, as []*model.Adapter, owner []int) *adapter {
	n := int64(l.n())
	a := &adapter{layout: l, values: s.FillFloat32s(func(values []float32) {
		for i, one := range as {
			l.pack(values[i*int(n):(i+1)*int(n)], one)
		}
	}, int64(len(as)), n)}
	if len(as) > 1 {
		ids := make([]int64, len(owner))
		for i, o := range owner {
			ids[i] = int64(o)
		}
		a.owner = s.Int64s(ids, int64(len(ids)))
	}
	return a
}

// train marks what gradients are wanted for and returns it, in the layout's order.
func (a *adapter) train(s *libtorch.Scope) (leaves []libtorch.Tensor) {
	marked := make([][parts]libtorch.Tensor, a.blocks)
	for block := range marked {
		for i := range parts {
			if a.has[i] {
				marked[block][i] = s.Param(s.Detach(a.rows(s, block, i)))
				leaves = append(leaves, marked[block][i])
			}
		}
	}
	a.leaves = marked
	return leaves
}

// rows is a part as the batch takes it: [B,size], or [1,size] for all rows.
func (a *adapter) rows(s *libtorch.Scope, block, part int) libtorch.Tensor {
	if a.leaves != nil {
		return a.leaves[block][part]
	}
	t := s.Narrow(a.values, 1, int64(a.at(block, part)), int64(a.size(part)))
	if a.owner.Defined() {
		t = s.IndexSelect(t, 0, a.owner)
	}
	return t
}

// apply is y = LN(B̂·act(LN_b(Â·h)) + r) with h = LN(r), where r = f + a and LN is the block's own,
// outer: Pfeiffer's place. l counts the adapter's blocks; below 0 there is none, and without an
// adapter it is LN(r).
func (a *adapter) apply(s *libtorch.Scope, l int, r libtorch.Tensor,
	outer func(libtorch.Tensor) libtorch.Tensor) libtorch.Tensor {
	h := outer(r) // [B,T,d]
	if a == nil || l < 0 || a.targets != 0 {
		return h
	}
	z := a.project(s, h, l, down, downBias, a.d, a.b) // [B,T,b]
	if a.has[normB] {
		z = a.normalize(s, z, l)
	}
	if a.relu {
		z = s.ReLU(z)
	}
	u := a.project(s, z, l, up, upBias, a.b, a.d) // [B,T,d]
	return outer(s.Add(u, r))
}

// attend is what attention sees of the block's input x: qkv [B,T,3d], and a LoRA's terms.
func (a *adapter) attend(s *libtorch.Scope, l int, x, qkv libtorch.Tensor) libtorch.Tensor {
	if a == nil || l < 0 || a.targets == 0 {
		return qkv
	}
	d, r, at := int64(a.d), int64(a.b/a.targets.Count()), int64(0)
	z := a.project(s, x, l, down, downBias, a.d, a.b) // [B,T,b]
	w := s.View(a.rows(s, l, up), -1, int64(a.b), d)  // [B,b,d], or [1,b,d]
	thirds := make([]libtorch.Tensor, 3)
	for i := range thirds {
		thirds[i] = s.Narrow(qkv, 2, int64(i)*d, d)
		if a.targets>>i&1 != 0 {
			thirds[i] = s.Add(thirds[i], s.MatMul(s.Narrow(z, 2, at, r), s.Narrow(w, 1, at, r)))
			at += r
		}
	}
	return s.Cat(thirds, 2)
}

// project is x·w + c, [B,T,out], each row by its own.
func (a *adapter) project(s *libtorch.Scope, x libtorch.Tensor, l, weight, bias, in, out int) libtorch.Tensor {
	w := a.rows(s, l, weight)
	if a.owner.Defined() {
		w = s.View(w, -1, int64(in), int64(out))
	} else {
		w = s.View(w, int64(in), int64(out)) // one large product
	}
	y := s.MatMul(x, w)
	if a.has[bias] {
		y = s.Add(y, s.View(a.rows(s, l, bias), -1, 1, int64(out)))
	}
	return y
}

// normalize is LN_b.
func (a *adapter) normalize(s *libtorch.Scope, z libtorch.Tensor, l int) libtorch.Tensor {
	affine := s.View(a.rows(s, l, normB), -1, 2, int64(a.b))
	z = s.LayerNorm(z, libtorch.Tensor{}, libtorch.Tensor{}, int64(a.b), model.NormEps)
	return s.Add(s.Mul(z, s.Narrow(affine, 1, 0, 1)), s.Narrow(affine, 1, 1, 1))
}
