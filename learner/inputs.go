package learner

import (
	"context"

	"github.com/xpeft/xpeft/model"
)

// Prepared holds what training and serving cannot change of some examples, computed once, so that
// an epoch pays only for what is above the first adapter's place or, for a head alone, for nothing
// of the encoder. Those who learn from them more than once give it to each [Job]. It is safe for
// concurrent use. Its memory is 4·d bytes a token, 4·d bytes an example for a head alone.
type Prepared struct {
	examples []Example
	stems    *stems
	features []float32 // [n,H], for a head alone; or φ
}

// prepared computes it for a run with c.
func prepared(ctx context.Context, env Env, c Config, examples []Example) (*Prepared, error) {
	p := &Prepared{examples: examples}
	var err error
	switch c.Mode {
	case HeadOnly:
		p.features, err = Embed(ctx, env, examples, nil)
	case SingleAdapter:
		p.stems, err = newStems(ctx, env, examples, 0, c.StemBudget)
	default:
		p.stems, err = newStems(ctx, env, examples, env.from(c), c.StemBudget)
	}
	return p, err
}

// batch is a step over some of them, alone.
func (p *Prepared) batch(which []int) (b batch) {
	b.add(p, which, 0)
	return b
}

// add takes some of a profile's texts in. All inputs of a batch were prepared alike.
func (b *batch) add(in *Prepared, which []int, owner int) {
	d := len(in.features) / max(1, len(in.examples))
	for _, i := range which {
		b.examples, b.owner = append(b.examples, in.examples[i]), append(b.owner, owner)
		if in.features != nil {
			b.features = append(b.features, in.features[i*d:(i+1)*d])
			continue
		}
		b.from = in.stems.from
		b.stems, b.below = append(b.stems, in.stems.states[i]), append(b.below, in.stems.below[i])
	}
}

// Prepare computes it for the masks of env's bank; without one, for HeadOnly.
func Prepare(ctx context.Context, env Env, examples []Example) (*Prepared, error) {
	c := Config{Mode: Masks, StemBudget: int64(1) << 62}
	if env.Bank == nil {
		c.Mode = HeadOnly
	}
	return prepared(ctx, env.ready(), c, examples)
}

// PrepareFor computes it for trainings of masks with c: below the first block that c trains, and as
// far as c.StemBudget goes. What is beyond is computed whenever it is used.
func PrepareFor(ctx context.Context, env Env, examples []Example, c Config) (*Prepared, error) {
	c.Mode = Masks
	return prepared(ctx, env.ready(), c, examples)
}

// Embed is what a head sees of every prepared example under one folded adapter (nil: the bare
// encoder). Below what was prepared for it must do nothing: there it is not asked.
func (p *Prepared) Embed(ctx context.Context, env Env, a *model.Adapter) ([]float32, error) {
	if p.features != nil {
		return p.features, nil
	}
	return embedAll(ctx, env.ready(), p.examples, p.stems, last(a, env.Encoder.Blocks()-p.stems.from))
}

// last is an adapter's last blocks, so many at most.
func last(a *model.Adapter, most int) *model.Adapter {
	if a == nil || a.Blocks <= most {
		return a
	}
	part := func(x []float32) []float32 { return x[len(x)/a.Blocks*(a.Blocks-most):] }
	return &model.Adapter{Blocks: most, Bottleneck: a.Bottleneck, Activation: a.Activation,
		Down: part(a.Down), Up: part(a.Up), DownBias: part(a.DownBias), UpBias: part(a.UpBias), Norm: part(a.Norm)}
}

// Pick is some of them, by their numbers; nothing is computed again.
func (p *Prepared) Pick(which []int) *Prepared {
	q := &Prepared{examples: make([]Example, len(which))}
	if p.stems != nil {
		q.stems = p.stems.pick(which)
	}
	for i, w := range which {
		if q.examples[i] = p.examples[w]; p.stems != nil {
			continue
		}
		d := len(p.features) / len(p.examples)
		q.features = append(q.features, p.features[w*d:(w+1)*d]...)
	}
	return q
}

// fits says whether it was prepared for such a run.
func (p *Prepared) fits(env Env, c Config) bool {
	if p.stems == nil {
		return c.Mode == HeadOnly
	}
	return c.Mode == Masks && env.Bank != nil && p.stems.from == env.from(c)
}
