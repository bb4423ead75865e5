package bank

import (
	"context"

	"github.com/xpeft/xpeft/model"
)

// EncoderAxes is ComputeAxes for an encoder; nil words are those of its tokenizer.
func EncoderAxes(ctx context.Context, enc *model.Encoder, tok *model.Tokenizer, c AxesConfig) (*Axes, error) {
	if c.Words == nil {
		c.Words = tok.Words()
	}
	return ComputeAxes(ctx, c, func(ctx context.Context, texts []string) ([]float32, error) {
		const batch = 64
		var all []float32
		for len(texts) > 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			some := make([]model.Encoding, min(batch, len(texts)))
			for i := range some {
				tok.Encode(&some[i], texts[i], "", enc.Config().MaxPositionEmbeddings)
			}
			states, err := pooledStates(enc, some, c.Taps)
			if err != nil {
				return nil, err
			}
			all, texts = append(all, states...), texts[len(some):]
		}
		return all, nil
	})
}

// pooledStates are the bare encoder's mean states after the taps, [texts,T·d].
func pooledStates(enc *model.Encoder, texts []model.Encoding, taps []int) ([]float32, error) {
	x := make([]float32, len(texts)*enc.Hidden())
	states := make([]float32, len(taps)*len(x))
	return states, enc.Embed(texts, nil, nil, x, taps, states)
}
