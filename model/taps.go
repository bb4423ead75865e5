//go:build cgo

package model

import (
	"fmt"

	"github.com/xpeft/xpeft/internal/torch"
)

// EmbedTaps is Embed, and beside it the mean of each text's states after some blocks of that pass,
// [B,len(taps)·H]: taps are ascending, 0 is the embeddings' states after their norm, Blocks the
// last block's. It is the mean whatever the model's own pooling is. Without taps there are no
// states.
func (e *Encoder) EmbedTaps(s *torch.Scope, b *Batch, a *Adapter, taps []int) (pooled, states torch.Tensor) {
	if _, err := e.checkTaps(taps); err != nil {
		refuse("%v", err)
	}
	mask := e.mask(s, b)
	e.checkIDs(b)
	e.checkAdapter(a, 0)
	mean := s.FillFloat32s(b.mean, int64(b.B), 1, int64(b.T))
	var means []torch.Tensor // [B,1,H] each
	x := e.embed.forward(s, b)
	for l := 0; ; l++ { // x is the states after l blocks
		if len(means) < len(taps) && taps[len(means)] == l {
			means = append(means, s.BMM(mean, x))
		}
		if l == len(e.blocks) {
			break
		}
		below := x
		x = s.Block(func() torch.Tensor {
			return e.adapt(s, l, e.blocks[l].residual(s, below, mask, b), a)
		})
		s.Free(below)
	}
	if len(taps) > 0 {
		states = s.View(s.Cat(means, 2), int64(b.B), int64(len(taps)*e.config.HiddenSize))
	}
	return e.Pool(s, x, b), states
}

// checkTaps gives them as the kernels take them.
func (e *Encoder) checkTaps(taps []int) ([]int32, error) {
	blocks := make([]int32, len(taps))
	for i, l := range taps {
		if l < 0 || l > len(e.blocks) || i > 0 && l <= taps[i-1] {
			return nil, fmt.Errorf("model: taps %v, want blocks from 0 to %d, ascending", taps, len(e.blocks))
		}
		blocks[i] = int32(l)
	}
	return blocks, nil
}
