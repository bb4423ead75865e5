package eval

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
)

// ownModes give a person a head of their own, as an engineer would without profiles.
func ownModes() []Mode {
	var scratch, started, single []Setting
	for _, rate := range []float64{3e-3, 1e-2} {
		for _, epochs := range []int{20, 40} {
			scratch = append(scratch, headSetting(rate, epochs, 0))
		}
		for _, alpha := range []float64{1, 3} {
			started = append(started, headSetting(rate, 10, alpha))
		}
	}
	// One setting: choosing among four on the development people would take half an hour.
	s := headSetting(1e-3, 10, 3)
	s.Config.Mode = learner.SingleAdapter
	single = append(single, s)
	return []Mode{
		{"own_head", "an own linear head, from scratch, on frozen embeddings", scratch, ownHead, nil},
		{"own_head_shared", "an own linear head that starts from the shared one, with the label prior", started,
			ownHead, nil},
		{"single_adapter", "an own adapter in every block and an own head that starts from the shared one, with " +
			"the label prior", single, ownHead, nil},
	}
}

func headSetting(rate float64, epochs int, alpha float64) Setting {
	c := learner.Default()
	c.Mode, c.Head, c.Bias, c.Affine, c.HeadRate, c.Epochs = learner.HeadOnly, true, false, false, rate, epochs
	s := Setting{Name: fmt.Sprintf("rate %g, %d epochs", rate, epochs), Alpha: alpha, Config: c}
	if alpha > 0 {
		s.Name += fmt.Sprintf(", α=%g", alpha)
	}
	return s
}

// singleBottleneck is the single adapter's b, d/16.
const singleBottleneck = 24

func ownHead(ctx context.Context, w *World, p *Part, s Setting) (served, error) {
	c := s.Config
	c.Seed = w.Seed
	job := learner.Job{Head: learner.NewHead(w.Labels, w.Encoder.Hidden(), false, w.Seed), Train: p.Train}
	if s.Alpha > 0 {
		job.Head, job.Prior = w.Head, w.Head.Prior(p.Counts, s.Alpha)
	}
	size := 4 * len(w.Labels) * (w.Encoder.Hidden() + 1)
	if c.Mode == learner.HeadOnly {
		train, test, err := p.prepare(ctx, w.env(nil))
		if err != nil {
			return served{}, err
		}
		r, err := learner.LearnPrepared(ctx, w.env(nil), train, job, c)
		if err != nil {
			return served{}, err
		}
		x, err := test.Embed(ctx, w.env(nil), nil)
		return served{predicted: predict(r.Head, job.Prior, x), bytes: size}, err
	}
	d, L, b := w.Encoder.Hidden(), w.Encoder.Blocks(), singleBottleneck
	env, err := w.singleEnv()
	if err != nil {
		return served{}, err
	}
	r, x, err := learner.LearnAndEmbed(ctx, env, job, c, p.Test)
	if err != nil {
		return served{}, err
	}
	return served{predicted: predict(r.Head, job.Prior, x), bytes: size + 4*L*(2*d*b+d+b)}, nil
}

// singleEnv carries the single adapter's bottleneck: learner takes it from a bank, whose adapters
// it does not use.
func (w *World) singleEnv() (learner.Env, error) {
	s, err := w.share("single", func(s *shared) (err error) {
		s.bank, err = bank.NewRandom(bank.Properties{Origin: bank.Random, N: 1, Blocks: w.Encoder.Blocks(),
			Hidden:     w.Encoder.Hidden(),
			Bottleneck: singleBottleneck, NormB: true, Seed: 1, SigmaA: bank.DefaultSigmaA, SigmaB: bank.DefaultSigmaB})
		return err
	})
	if err != nil {
		return learner.Env{}, err
	}
	return w.env(s.bank), nil
}
