//go:build cgo

package learner

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Scores of predictions on labelled examples.
type Scores struct {
	N        int
	Accuracy float64 // share of right labels; for a regressor, of nothing: 0
	Loss     float64 // mean cross-entropy, or mean squared error
}

// adapting gives the adapter of a batch in its scope; nil means the bare encoder.
type adapting func(*torch.Scope) (*model.Adapter, error)

// Embed is the pooled embedding of every example under one folded adapter (nil: the bare encoder), [n,H].
func Embed(ctx context.Context, env Env, examples []Example, f *bank.Folded) ([]float32, error) {
	return embedAll(ctx, env, examples, nil, under(f))
}

// under is one folded adapter for all batches.
func under(f *bank.Folded) adapting {
	return func(s *torch.Scope) (*model.Adapter, error) {
		if f == nil {
			return nil, nil
		}
		return f.Adapter(s), nil
	}
}

// embedAll runs batches of evalBatch, longest together. st may hold the examples' stems.
func embedAll(ctx context.Context, env Env, examples []Example, st *stems, adapter adapting) ([]float32, error) {
	enc := env.Encoder
	d, order := enc.Hidden(), byLength(examples)
	out := make([]float32, len(examples)*d)
	for len(order) > 0 {
		part := order[:min(evalBatch, len(order))]
		order = order[len(part):]
		err := env.Engine.Do(ctx, func(s *torch.Scope) error {
			a, err := adapter(s)
			if err != nil {
				return err
			}
			return forkOver(s, examples, part, func(s *torch.Scope, rows []int, b *model.Batch) error {
				var x torch.Tensor
				if st == nil {
					x = enc.Embed(s, b, a)
				} else {
					x = enc.Pool(s, enc.Upper(s, st.tensor(s, b, rows), b, st.from, a), b)
				}
				flat := s.Values(x)
				for row, i := range rows {
					copy(out[i*d:(i+1)*d], flat[row*d:(row+1)*d])
				}
				return nil
			})
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Evaluate scores a head over one folded adapter (nil: the bare encoder). offset is added to the logits; nil adds nothing.
func Evaluate(ctx context.Context, env Env, f *bank.Folded, h *model.Head, offset []float32, examples []Example) (Scores, error) {
	x, err := Embed(ctx, env, examples, f)
	if err != nil {
		return Scores{}, err
	}
	return Score(h, offset, x, examples), nil
}

// Score is Evaluate of examples whose pooled embeddings, [n,H], are known.
func Score(h *model.Head, offset, x []float32, examples []Example) Scores {
	sc := Scores{N: len(examples)}
	if sc.N == 0 {
		return sc
	}
	var z []float32
	for i, e := range examples {
		z = h.Logits(z[:0], x[i*h.Hidden:(i+1)*h.Hidden])
		if h.Regression() {
			diff := float64(z[0] - e.Target)
			sc.Loss += diff * diff
			continue
		}
		for c := range offset {
			z[c] += offset[c]
		}
		p := model.Softmax(z)
		sc.Loss -= math.Log(max(float64(p[e.Class]), 1e-12))
		if argmax(p) == e.Class {
			sc.Accuracy++
		}
	}
	sc.Accuracy /= float64(sc.N)
	sc.Loss /= float64(sc.N)
	return sc
}

// argmax is the first of the largest.
func argmax(p []float32) int {
	best := 0
	for i := range p {
		if p[i] > p[best] {
			best = i
		}
	}
	return best
}
