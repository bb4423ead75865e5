//go:build torch && cgo

package torch

import "github.com/xpeft/xpeft/internal/engine/torch/libtorch"

type feedForward struct {
	up, down linear
	norm     layerNorm // the block's outer LN, used by the adapter's place
	act      string
}

// forward is f = W₂·act(W₁·a), [B,T,d], before the residual and the norm.
func (f *feedForward) forward(s *libtorch.Scope, a libtorch.Tensor) libtorch.Tensor {
	return s.Block(func() libtorch.Tensor {
		x := s.Linear(a, f.up.w, f.up.b) // [B,T,4d]
		switch f.act {
		case "relu":
			x = s.ReLU(x)
		default:
			x = s.GELU(x, f.act == "gelu_new")
		}
		return s.Linear(x, f.down.w, f.down.b)
	})
}
