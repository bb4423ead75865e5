//go:build cgo

package model

import "github.com/xpeft/xpeft/internal/torch"

// Activation is what stands between an adapter's two projections.
type Activation uint8

const (
	Identity Activation = iota // X-PEFT
	ReLU                       // AdapterHub
)

// normEps is LN_b's ε.
const normEps = 1e-5

// Adapter is one folded adapter for a whole batch, or one for each row of it, as tensors: what a forward pass takes. It knows
// nothing of where it came from.
type Adapter struct {
	Activation Activation
	NormB      bool           // LN_b on
	Blocks     []BlockAdapter // one for each of the encoder's last blocks; those below have none
	// Make, if it is set, makes the part in block l when the pass is there, in the pass's scope, which frees it when the pass leaves the block. Blocks then
	// tells the number of blocks alone.
	Make func(l int) BlockAdapter
}

// BlockAdapter is an adapter's part in one block. For all rows: Down [d,b], Up [b,d], DownBias and the norm's affine [b], UpBias [d].
// One each row: Down [B,d,b], Up [B,b,d], DownBias and affine [B,1,b], UpBias [B,1,d]. Biases may be none.
type BlockAdapter struct {
	Down, DownBias, NormWeight, NormBias, Up, UpBias torch.Tensor
}

// apply is y = LN(B̂·act(LN_b(Â·h)) + r) with h = LN(r), where r = f + a and LN is the block's own, outer: Pfeiffer's place. l counts the
// adapter's blocks; below 0 there is none, and without an adapter it is LN(r).
func (a *Adapter) apply(s *torch.Scope, l int, r torch.Tensor, outer func(torch.Tensor) torch.Tensor) torch.Tensor {
	h := outer(r) // [B,T,H]
	if a == nil || l < 0 {
		return h
	}
	blk := a.block(l)
	z := plus(s, s.MatMul(h, blk.Down), blk.DownBias) // [B,T,b]
	if a.NormB {
		z = layerNormEach(s, z, blk.NormWeight, blk.NormBias)
	}
	if a.Activation == ReLU {
		z = s.ReLU(z)
	}
	u := plus(s, s.MatMul(z, blk.Up), blk.UpBias) // [B,T,H]
	return outer(s.Add(u, r))
}

func (a *Adapter) block(l int) BlockAdapter {
	if a.Make != nil {
		return a.Make(l)
	}
	return a.Blocks[l]
}

func plus(s *torch.Scope, x, bias torch.Tensor) torch.Tensor {
	if bias == (torch.Tensor{}) {
		return x
	}
	return s.Add(x, bias)
}

// layerNormEach is LN_b; an affine of [B,1,b] is applied by row.
func layerNormEach(s *torch.Scope, z, w, c torch.Tensor) torch.Tensor {
	shape := s.Shape(w)
	b := shape[len(shape)-1]
	if len(shape) == 1 {
		return s.LayerNorm(z, w, c, b, normEps)
	}
	z = s.LayerNorm(z, torch.Tensor{}, torch.Tensor{}, b, normEps)
	return s.Add(s.Mul(z, w), c)
}
