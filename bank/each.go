//go:build cgo

package bank

import (
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Each is f in place, on a CPU: what model.Encoder.EmbedEach takes. It is valid until f is freed.
func (f *Folded) Each() *model.EachAdapter {
	if f == nil {
		return nil
	}
	p := f.props
	n := p.Blocks * p.Bottleneck
	a := &model.EachAdapter{Blocks: p.Blocks, Bottleneck: p.Bottleneck, Activation: p.NewAdapter().Activation,
		Down: f.down.Memory(n * p.Hidden), Up: f.up.Memory(n * p.Hidden)}
	part := func(h *torch.Held, n int) []float32 {
		if h == nil {
			return nil
		}
		return h.Memory(n)
	}
	a.DownBias, a.UpBias, a.Norm = part(f.biasA, n), part(f.biasB, p.Blocks*p.Hidden), part(f.norm, 2*n)
	return a
}
