package eval

import (
	"context"
	"fmt"
	"runtime"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/quant"
	"github.com/xpeft/xpeft/learner"
)

// xpeft learns masks, and what else the setting says, over its bank.
func xpeft(ctx context.Context, w *World, p *Part, s Setting) (served, error) {
	sh, err := w.bank(ctx, s.Bank)
	if err != nil {
		return served{}, err
	}
	c := s.Config
	c.Seed = w.Seed
	job := learner.Job{Head: w.Head, Train: p.Train}
	if s.Alpha > 0 {
		job.Prior = w.Head.Prior(p.Counts, s.Alpha)
	}
	if c.Soft {
		r, x, err := learner.LearnAndEmbed(ctx, w.env(sh.bank), job, c, p.Test)
		if err != nil {
			return served{}, err
		}
		n := 4*len(r.Logits.Values) + frameBytes + countBytes(p.Counts)
		return served{predicted: predict(r.Head, plus(job.Prior, r.Bias), x), bytes: n}, nil
	}
	train, _, err := p.prepare(ctx, w.env(sh.bank))
	if err != nil {
		return served{}, err
	}
	r, err := learner.LearnPrepared(ctx, w.env(sh.bank), train, job, c)
	if err != nil {
		return served{}, err
	}
	return w.stored(ctx, sh, p, job.Prior, r, c)
}

// stored serves a result as a profile would be that was stored and read again: affine and bias in 8
// bits.
func (w *World) stored(ctx context.Context, sh *shared, p *Part, prior []float32, r *learner.Result,
	c learner.Config) (served, error) {
	props := sh.bank.Properties()
	affine := r.Affine
	if c.Affine && props.NormB {
		data, err := props.EncodeAffine(affine, sh.bank.Affine())
		if err != nil {
			return served{}, err
		}
		if affine, err = props.DecodeAffine(data, sh.bank.Affine()); err != nil {
			return served{}, err
		}
	}
	bias := r.Bias
	if bias != nil {
		data, err := quant.Append(nil, bias)
		if err != nil {
			return served{}, err
		}
		bias = make([]float32, len(bias))
		if err := quant.Decode(bias, data); err != nil {
			return served{}, err
		}
	}
	x, err := w.under(ctx, sh.bank, r.Mask, affine, p)
	if err != nil {
		return served{}, err
	}
	return served{predicted: predict(r.Head, plus(prior, bias), x), mask: r.Mask,
		bytes: recordBytes(r.Mask, props.Bottleneck, c.Affine && props.NormB, bias != nil, p.Counts)}, nil
}

// untrained serves a mask and an affine that were not trained for the person: choose gives them; a
// nil affine is the bank's. Only the label prior is theirs.
func untrained(choose func(context.Context, *World, *shared, *Part, Setting) (*bitmask.Mask, []float32,
	error)) func(context.Context, *World, *Part, Setting) (served, error) {
	return func(ctx context.Context, w *World, p *Part, s Setting) (served, error) {
		sh, err := w.bank(ctx, s.Bank)
		if err != nil {
			return served{}, err
		}
		m, affine, err := choose(ctx, w, sh, p, s)
		if err != nil {
			return served{}, err
		}
		x, err := w.under(ctx, sh.bank, m, affine, p)
		return served{predicted: predict(w.Head, w.Head.Prior(p.Counts, s.Alpha), x), mask: m,
			bytes: recordBytes(m, sh.bank.Properties().Bottleneck, affine != nil, false, p.Counts)}, err
	}
}

// uniform averages the whole bank.
func uniform(_ context.Context, _ *World, sh *shared, _ *Part, _ Setting) (*bitmask.Mask, []float32, error) {
	p := sh.bank.Properties()
	m, err := learner.NewLogits(p.N, p.Blocks).Mask(p.N)
	return m, nil, err
}

// nearest is what the bank's person with the most alike label counts learned, with the mode's own
// recipe.
func nearest(ctx context.Context, w *World, sh *shared, p *Part, s Setting) (*bitmask.Mask, []float32, error) {
	sh.neighbours.Do(func() { sh.neighboursErr = w.learnNeighbours(ctx, sh, s) })
	if sh.neighboursErr != nil {
		return nil, nil, sh.neighboursErr
	}
	best, near := 0, -1.0
	for i, o := range w.Bank {
		if c := cosine(o.Counts, p.Counts); c > near {
			best, near = i, c
		}
	}
	return sh.learned[best].Mask, sh.learned[best].Affine, nil
}

// bank opens or makes the bank that a setting names.
func (w *World) bank(ctx context.Context, b Bank) (*shared, error) {
	if b.Blocks == 0 {
		b.Blocks = w.Encoder.Blocks()
	}
	return w.share(fmt.Sprintf("%+v", b), func(s *shared) error {
		if b.Kind == "random" {
			return w.randomBank(s, b)
		}
		return w.trainedBank(ctx, s, b)
	})
}

func (w *World) randomBank(s *shared, b Bank) (err error) {
	s.bank, err = bank.NewRandom(bank.Properties{Origin: bank.Random, N: b.N, Blocks: b.Blocks,
		Hidden: w.Encoder.Hidden(), Bottleneck: b.Bottleneck,
		NormB: true, Seed: 42, SigmaA: bank.DefaultSigmaA, SigmaB: float32(b.Sigma)})
	return err
}

// learnNeighbours gives the bank's people their masks and affines.
func (w *World) learnNeighbours(ctx context.Context, sh *shared, s Setting) error {
	sh.learned = make([]*learner.Result, len(w.Bank))
	return each(len(w.Bank), runtime.GOMAXPROCS(0), func(i int) error {
		p, c := w.Bank[i], s.Config
		c.Seed = w.Seed
		train, _, err := p.prepare(ctx, w.env(sh.bank))
		if err != nil {
			return err
		}
		r, err := learner.LearnPrepared(ctx, w.env(sh.bank), train,
			learner.Job{Head: w.Head, Prior: w.Head.Prior(p.Counts, s.Alpha)}, c)
		if err != nil {
			return err
		}
		sh.learned[i] = r
		return nil
	})
}
