//go:build cgo

package learner

import (
	"context"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// inputs prepares a job's examples once, so that an epoch pays only for what training can change: everything above block 0's adapter, or,
// for a head alone, nothing of the encoder.
type inputs struct {
	env      Env
	examples []Example
	stems    *stems
	features []float32 // [n,H], for a head alone
}

func newInputs(ctx context.Context, env Env, c Config, examples []Example) (*inputs, error) {
	in := &inputs{env: env, examples: examples}
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

// pick is one text out of a profile's.
type pick struct {
	of *inputs
	i  int
}

// pick names some of them.
func (in *inputs) pick(which []int) []pick {
	picks := make([]pick, len(which))
	for i, w := range which {
		picks[i] = pick{in, w}
	}
	return picks
}

// batchOfPicks is a step over texts of one or several profiles, prepared alike. owner says whose each is; nil: all of the only profile.
func batchOfPicks(picks []pick, owner []int) batch {
	b := batch{examples: make([]Example, len(picks)), owner: owner, whole: picks[0].of.features != nil}
	for i, p := range picks {
		b.examples[i] = p.of.examples[p.i]
	}
	b.embed = func(s *torch.Scope, rows []int, a *model.Adapter) (torch.Tensor, error) {
		some := make([]pick, len(rows))
		for i, r := range rows {
			some[i] = picks[r]
		}
		return embedPicks(s, some, a)
	}
	return b
}

// embedPicks is the pooled embeddings [B,H] of texts, from what was prepared of them; a stem that was not kept is computed, with those of all.
func embedPicks(s *torch.Scope, picks []pick, a *model.Adapter) (torch.Tensor, error) {
	in := picks[0].of
	enc := in.env.Encoder
	if d := enc.Hidden(); in.features != nil {
		return s.FillFloat32s(func(dst []float32) {
			for i, p := range picks {
				copy(dst[i*d:(i+1)*d], p.of.features[p.i*d:])
			}
		}, int64(len(picks)), int64(d)), nil
	}
	texts, states := make([]model.Encoding, len(picks)), make([][]float32, len(picks))
	for i, p := range picks {
		texts[i], states[i] = p.of.examples[p.i].Text, p.of.stems.states[p.i]
	}
	b, err := model.NewBatch(texts, 0)
	if err != nil {
		return torch.Tensor{}, err
	}
	return enc.Pool(s, enc.Upper(s, joinStates(s, enc, b, in.stems.from, states), b, in.stems.from, a), b), nil
}

// Prepared holds what training and serving cannot change of some examples, for those who learn from them more than once: everything below the first
// adapter of a bank's profiles, or the whole bare encoder. It is safe for concurrent use. Its memory is 4·d bytes a token, 4·d bytes an example without a bank.
type Prepared struct {
	examples []Example
	stems    *stems
	features []float32 // [n,H], without a bank
}

// Prepare computes it for the masks of env's bank; without one, for HeadOnly.
func Prepare(ctx context.Context, env Env, examples []Example) (*Prepared, error) {
	if env.Bank == nil {
		x, err := Embed(ctx, env, examples, nil)
		return &Prepared{examples: examples, features: x}, err
	}
	st, err := newStems(ctx, env, examples, env.from(Config{}), int64(1)<<62)
	return &Prepared{examples: examples, stems: st}, err
}

// Embed is the pooled embedding of every prepared example under one folded adapter (nil: the bare encoder), [n,H]. It may be of another bank than env's
// that has no more blocks.
func (p *Prepared) Embed(ctx context.Context, env Env, f *bank.Folded) ([]float32, error) {
	if p.features != nil {
		return p.features, nil
	}
	return embedAll(ctx, env, p.examples, p.stems, under(f))
}

// Pick is some of them, by their numbers; nothing is computed again.
func (p *Prepared) Pick(which []int) *Prepared {
	q := &Prepared{examples: make([]Example, len(which))}
	if p.stems != nil {
		q.stems = &stems{encoder: p.stems.encoder, from: p.stems.from, states: make([][]float32, len(which))}
	}
	for i, w := range which {
		q.examples[i] = p.examples[w]
		if p.stems != nil {
			q.stems.states[i] = p.stems.states[w]
			continue
		}
		d := len(p.features) / len(p.examples)
		q.features = append(q.features, p.features[w*d:(w+1)*d]...)
	}
	return q
}

// Join is all examples of several that were prepared alike, without a bank.
func Join(parts []*Prepared) *Prepared {
	q := &Prepared{}
	for _, p := range parts {
		q.examples, q.features = append(q.examples, p.examples...), append(q.features, p.features...)
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

// from is the encoder's block of the first adapter that c trains.
func (env Env) from(c Config) int {
	blocks := env.Bank.Properties().Blocks
	return env.Encoder.Blocks() - blocks + c.below(blocks)
}

// below is how many of a bank's blocks are not trained.
func (c Config) below(blocks int) int {
	if c.Top == 0 {
		return 0
	}
	return blocks - c.Top
}
