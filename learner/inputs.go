package learner

import (
	"context"

	"github.com/xpeft/xpeft/model"
)

// inputs prepares a job's examples once, so that an epoch pays only for what training can change:
// everything above the first adapter's place, or, for a head alone, nothing of the encoder.
type inputs struct {
	examples []Example
	stems    *stems
	features []float32 // [n,H], for a head alone; or φ
}

func newInputs(ctx context.Context, env Env, c Config, examples []Example) (*inputs, error) {
	in := &inputs{examples: examples}
	var err error
	switch c.Mode {
	case HeadOnly:
		in.features, err = Embed(ctx, env, examples, nil)
	case SingleAdapter:
		in.stems, err = newStems(ctx, env, examples, 0, c.StemBudget)
	default:
		in.stems, err = newStems(ctx, env, examples, env.from(c), c.StemBudget)
	}
	return in, err
}

// batch is a step over some of them, alone.
func (in *inputs) batch(which []int) (b batch) {
	b.add(in, which, 0)
	return b
}

// add takes some of a profile's texts in. All inputs of a batch were prepared alike.
func (b *batch) add(in *inputs, which []int, owner int) {
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

// Prepared holds what training and serving cannot change of some examples, for those who learn
// from them more than once: everything below the first adapter of a bank's profiles, or the whole
// bare encoder. It is safe for concurrent use. Its memory is 4·d bytes a token, 4·d bytes an
// example without a bank.
type Prepared struct {
	examples []Example
	stems    *stems
	features []float32 // [n,H], without a bank
}

// Prepare computes it for the masks of env's bank; without one, for HeadOnly.
func Prepare(ctx context.Context, env Env, examples []Example) (*Prepared, error) {
	env = env.ready()
	if env.Bank == nil {
		x, err := Embed(ctx, env, examples, nil)
		return &Prepared{examples: examples, features: x}, err
	}
	return PrepareFor(ctx, env, examples, Config{StemBudget: int64(1) << 62})
}

// PrepareFor computes it for trainings of masks with c: below the first block that c trains, and as
// far as c.StemBudget goes. What is beyond is computed whenever it is used.
func PrepareFor(ctx context.Context, env Env, examples []Example, c Config) (*Prepared, error) {
	env = env.ready()
	st, err := newStems(ctx, env, examples, env.from(c), c.StemBudget)
	return &Prepared{examples: examples, stems: st}, err
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
