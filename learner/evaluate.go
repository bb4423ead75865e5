package learner

import (
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// Scores of predictions on labelled examples.
type Scores struct {
	N        int
	Accuracy float64 // share of right labels; for a regressor, of nothing: 0
	Loss     float64 // mean cross-entropy, or mean squared error
}

// Embed is what a head sees of every example under one folded adapter (nil: the bare encoder): the
// pooled embedding [n,H] or, with env.Features, φ.
func Embed(ctx context.Context, env Env, examples []Example, a *model.Adapter) ([]float32, error) {
	return embedAll(ctx, env.ready(), examples, nil, a)
}

// embedUnder is Embed under the adapter of a source with one profile. st may hold the examples'
// stems.
func embedUnder(ctx context.Context, env Env, examples []Example, st *stems, src source) ([]float32, error) {
	a, err := solo(ctx, src)
	if err != nil {
		return nil, err
	}
	return embedAll(ctx, env, examples, st, a)
}

func embedAll(ctx context.Context, env Env, examples []Example, st *stems, a *model.Adapter) ([]float32, error) {
	n, d := len(examples), env.Encoder.Hidden()
	r, x := engine.Rows{Texts: textsOf(examples)}, make([]float32, n*d)
	_, taps := env.taps(-1)
	if st != nil {
		r.From, r.Stems = st.from, st.states
		_, taps = env.taps(st.from)
	}
	var adapters []*model.Adapter
	if a != nil {
		adapters = []*model.Adapter{a}
	}
	states := make([]float32, len(taps)*len(x))
	if err := env.Engine.Embed(ctx, r, adapters, x, taps, states); err != nil || env.Features == nil {
		return x, err
	}
	phi, width := make([]float32, 0, n*env.width()), len(taps)*d
	for i := range n {
		var below []float32
		if st != nil {
			below = st.below[i]
		}
		phi = env.Features.Phi(phi, slices.Concat(below, states[i*width:(i+1)*width]))
	}
	return phi, nil
}

// Evaluate scores a head over one folded adapter (nil: the bare encoder). offset is added to the
// logits; nil adds nothing.
func Evaluate(ctx context.Context, env Env, a *model.Adapter, h *model.Head, offset []float32,
	examples []Example) (Scores, error) {
	x, err := Embed(ctx, env, examples, a)
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
		if slices.Index(p, slices.Max(p)) == e.Class {
			sc.Accuracy++
		}
	}
	sc.Accuracy /= float64(sc.N)
	sc.Loss /= float64(sc.N)
	return sc
}
