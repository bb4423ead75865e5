package learner

import (
	"context"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// trainer takes steps: everything that a step needs and that outlives it.
type trainer struct {
	env     Env
	source  source
	outputs []*output // one a profile
	opt     *adamW
}

func newTrainer(env Env, src source, out *output, decay float64) *trainer {
	return &trainer{env: env, source: src, outputs: []*output{out},
		opt: &adamW{params: append(src.params(), out.params()...), decay: decay}}
}

// batch is a step's examples.
type batch struct {
	examples []Example
	owner    []int       // whose row each is; nil: all of the only profile
	from     int         // the block of the first adapter
	stems    [][]float32 // of each row, what was kept of its states below that adapter
	below    [][]float32 // of each row what φ has of the blocks below
	features [][]float32 // of each row what the head sees, where nothing of the encoder is trained
	mean     bool        // the loss is the mean over all rows, not the sum of the profiles' means
}

// rows are the batch as an engine takes it.
func (b *batch) rows() engine.Rows {
	return engine.Rows{Texts: textsOf(b.examples), Owner: b.owner, From: b.from, Stems: b.stems}
}

func textsOf(examples []Example) []model.Encoding {
	texts := make([]model.Encoding, len(examples))
	for i, e := range examples {
		texts[i] = e.Text
	}
	return texts
}

// weights are each row's share of the loss.
func (b *batch) weights() []float32 {
	rows := map[int]int{}
	for i := range b.examples {
		rows[b.of(i)]++
	}
	total := len(b.examples)
	w := make([]float32, len(b.examples))
	for i := range w {
		w[i] = 1 / float32(rows[b.of(i)])
		if b.mean {
			w[i] = 1 / float32(total)
		}
		if x := b.examples[i].Weight; x != 0 {
			w[i] *= x
		}
	}
	return w
}

// of is whose a row is.
func (b *batch) of(row int) int {
	if b.owner == nil {
		return 0
	}
	return b.owner[row]
}

// gradient computes each profile's loss, its mean over its rows, and the gradient of their sum by
// every param; it changes nothing else. nu is the noise of each.
func (t *trainer) gradient(ctx context.Context, b batch, nu []float64) ([]float32, error) {
	adapters, err := t.source.fold(ctx, nu)
	if err != nil {
		return nil, err
	}
	passes, share, each := newHeadPasses(t.outputs, &b), b.weights(), make([]float32, len(b.examples))
	loss := func(row int, x, dx []float32) {
		each[row] = share[row] * passes[b.of(row)].row(row, b.examples[row], share[row], x, dx)
	}
	var grads []*model.Adapter
	if b.features != nil {
		err = engine.Each(ctx, len(b.features),
			func(i int) { loss(i, b.features[i], make([]float32, len(b.features[i]))) })
	} else {
		_, above := t.env.taps(b.from)
		grads, err = t.env.Engine.Gradient(ctx, b.rows(), adapters, above, t.env.overFeatures(b.below, loss))
	}
	if err == nil {
		err = t.source.backward(ctx, grads)
	}
	if err != nil {
		return nil, err
	}
	backward(passes)
	losses := make([]float32, len(nu))
	for i, l := range each {
		losses[b.of(i)] += l
	}
	return losses, nil
}
