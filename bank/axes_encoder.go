//go:build cgo

package bank

import (
	"context"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// EncoderAxes is ComputeAxes for an encoder; nil words are those of its tokenizer.
func EncoderAxes(ctx context.Context, engine *torch.Engine, enc *model.Encoder, tok *model.Tokenizer, c AxesConfig) (*Axes, error) {
	if c.Words == nil {
		c.Words = tok.Words()
	}
	return ComputeAxes(ctx, c, func(ctx context.Context, texts []string) ([]float32, error) {
		const batch = 64
		var all []float32
		for len(texts) > 0 {
			some := make([]model.Encoding, min(batch, len(texts)))
			for i := range some {
				tok.Encode(&some[i], texts[i], "", enc.Config().MaxPositionEmbeddings)
			}
			states, err := pooledStates(ctx, engine, enc, some, tok.PadID(), c.Taps)
			if err != nil {
				return nil, err
			}
			all, texts = append(all, states...), texts[len(some):]
		}
		return all, nil
	})
}

// pooledStates are the bare encoder's mean states after the taps, [texts,T·d], by whichever way the
// machine has.
func pooledStates(ctx context.Context, engine *torch.Engine, enc *model.Encoder, texts []model.Encoding, pad int32, taps []int) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !enc.CanEmbedEach() {
		return batchStates(ctx, engine, enc, texts, pad, taps)
	}
	x := make([]float32, len(texts)*enc.Hidden())
	states := make([]float32, len(taps)*len(x))
	return states, enc.EmbedEach(texts, make([]int, len(texts)), []*model.EachAdapter{nil}, x, taps, states)
}

// batchStates are those of a machine without the kernels.
func batchStates(ctx context.Context, engine *torch.Engine, enc *model.Encoder, texts []model.Encoding, pad int32, taps []int) ([]float32, error) {
	b, err := model.NewBatch(texts, pad)
	if err != nil {
		return nil, err
	}
	states := make([]float32, len(texts)*len(taps)*enc.Hidden())
	return states, engine.Do(ctx, func(s *torch.Scope) error {
		_, pooled := enc.EmbedTaps(s, b, nil, taps)
		return s.ReadFloat32s(pooled, states)
	})
}
