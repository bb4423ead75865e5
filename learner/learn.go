//go:build cgo

package learner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// Env is what is frozen while profiles are learned.
type Env struct {
	Engine  *torch.Engine
	Encoder *model.Encoder
	Bank    *bank.Bank // for Masks; its bottleneck is also that of SingleAdapter
}

// Result is what a run found.
type Result struct {
	Logits *Logits       // x_peft: the trained scores
	Mask   *bitmask.Mask // x_peft: their k-hot mask
	Affine []float32     // x_peft: LN_b's affine, [L][2][b]
	Bias   []float32     // [C]; nil if it was not trained
	Head   *model.Head   // the trained copy, or the job's own head if it was frozen

	Losses  []float32 // one a step
	Held    []Scores  // one an epoch, with Patience
	Steps   int
	Trained int  // values that were trained
	Stopped bool // early
	Took    time.Duration
}

// Learn trains a profile. Cost: like training one adapter on the same examples; memory: one batch's graph and Config.StemBudget.
// ctx ends it within one step, with ctx's error and nothing kept.
func Learn(ctx context.Context, env Env, j Job, c Config) (*Result, error) {
	return learn(ctx, env, j, c, nil)
}

// LearnPrepared is Learn from examples that were prepared for env's bank, or for a head alone: j.Train is set to them.
func LearnPrepared(ctx context.Context, env Env, p *Prepared, j Job, c Config) (*Result, error) {
	if !p.fits(env, c) {
		return nil, fmt.Errorf("%w: examples prepared for another mode or other adapters", ErrConfig)
	}
	j.Train = p.examples
	return learn(ctx, env, j, c, p)
}

func learn(ctx context.Context, env Env, j Job, c Config, prepared *Prepared) (*Result, error) {
	began := time.Now()
	r, err := newRun(ctx, env, j, c, prepared)
	if err != nil {
		return nil, err
	}
	if err := r.trainAll(ctx); err != nil {
		return nil, err
	}
	return r.finish(began)
}

// trainAll trains once, or several times and averages what was found.
func (r *run) trainAll(ctx context.Context) error {
	if r.config.Runs < 2 {
		return r.train(ctx)
	}
	var found [][]float32
	for i := range r.config.Runs {
		next := *r
		next.rng = rand.New(rand.NewPCG(r.config.Seed+uint64(i), runStream))
		next.result, next.done = Result{}, len(r.result.Losses)
		if err := next.start(); err != nil {
			return err
		}
		if err := next.train(ctx); err != nil {
			return err
		}
		found = append(found, slices.Concat(values(next.trainer.opt.params)...))
		r.trainer, r.masks, r.best = next.trainer, next.masks, next.best
		r.result.Logits, r.result.Stopped = next.result.Logits, r.result.Stopped || next.result.Stopped
		r.result.Losses, r.result.Held = append(r.result.Losses, next.result.Losses...), append(r.result.Held, next.result.Held...)
	}
	mean := meanOf(found)
	for _, p := range r.trainer.opt.params {
		mean = mean[copy(p.value, mean):]
	}
	return nil
}

func values(params []*param) (all [][]float32) {
	for _, p := range params {
		all = append(all, p.value)
	}
	return all
}

// runStream keeps the draws of a run apart from others with its seed.
const runStream = 0x9e3779b97f4a7c15

// LearnAndEmbed is Learn, and the pooled embeddings of more texts under what was learned, [n,H], exactly as trained: the only way to see what soft masks
// or a single adapter do, which no profile stores.
func LearnAndEmbed(ctx context.Context, env Env, j Job, c Config, texts []Example) (*Result, []float32, error) {
	began := time.Now()
	r, err := newRun(ctx, env, j, c, nil)
	if err != nil {
		return nil, nil, err
	}
	if err := r.train(ctx); err != nil {
		return nil, nil, err
	}
	x, err := embedAll(ctx, env, texts, nil, func(s *torch.Scope) (*model.Adapter, error) {
		a, _, err := r.trainer.source.adapter(s, 0, nil)
		return a, err
	})
	if err != nil {
		return nil, nil, err
	}
	res, err := r.finish(began)
	return res, x, err
}

// run is one call of Learn.
type run struct {
	env      Env
	job      Job
	config   Config
	rng      *rand.Rand
	masks    *maskSource // nil in the baselines
	trainer  *trainer
	inputs   *inputs
	held     *inputs
	result   Result
	schedule schedule
	best     snapshot
	done     int // steps of the runs before this one
}

func newRun(ctx context.Context, env Env, j Job, c Config, prepared *Prepared) (*run, error) {
	n := 0
	if env.Bank != nil {
		n = env.Bank.Properties().N
	} else if c.Mode != HeadOnly {
		return nil, fmt.Errorf("%w: mode %s without a bank", ErrConfig, c.Mode)
	}
	if err := c.validate(n); err != nil {
		return nil, err
	}
	if err := j.validate(); err != nil {
		return nil, err
	}
	if j.Head.Hidden != env.Encoder.Hidden() {
		return nil, fmt.Errorf("%w: a head over %d values, the encoder gives %d", ErrConfig, j.Head.Hidden, env.Encoder.Hidden())
	}
	r := &run{env: env, job: j, config: c, rng: rand.New(rand.NewPCG(c.Seed, runStream))}
	err := r.start()
	if err != nil {
		return nil, err
	}
	if prepared != nil {
		r.inputs = &inputs{env: env, examples: j.Train, stems: prepared.stems, features: prepared.features}
	} else if r.inputs, err = newInputs(ctx, env, c, j.Train); err != nil {
		return nil, err
	}
	if c.Patience > 0 && len(j.Held) > 0 {
		if r.held, err = newInputs(ctx, env, c, j.Held); err != nil {
			return nil, err
		}
	}
	r.schedule = c.schedule(c.steps(len(j.Train)))
	return r, nil
}

// start makes what is trained.
func (r *run) start() error {
	src, err := r.newSource()
	if err == nil {
		r.trainer = newTrainer(r.env, src, newOutput(r.config, &r.job), r.config.Decay)
	}
	return err
}

func (r *run) newSource() (source, error) {
	c, enc := r.config, r.env.Encoder
	switch c.Mode {
	case HeadOnly:
		return none{}, nil
	case SingleAdapter:
		return newAdapterSource(enc.Blocks(), enc.Hidden(), r.env.Bank.Properties().Bottleneck, c.HeadRate, r.rng), nil
	}
	p := r.env.Bank.Properties()
	if p.Blocks > enc.Blocks() || p.Hidden != enc.Hidden() {
		return nil, fmt.Errorf("%w: a bank of L=%d, d=%d for an encoder of L=%d, d=%d", ErrConfig, p.Blocks, p.Hidden, enc.Blocks(), enc.Hidden())
	}
	logits, affine := NewLogits(p.N, p.Blocks), append([]float32(nil), r.env.Bank.Affine()...)
	if s := r.job.Start; s.Logits != nil {
		if s.Logits.N != p.N || s.Logits.Blocks != p.Blocks {
			return nil, fmt.Errorf("%w: a start of N=%d, L=%d", ErrConfig, s.Logits.N, s.Logits.Blocks)
		}
		logits = s.Logits.Clone()
	}
	if s := r.job.Start; s.Logits == nil || s.Spread {
		logits.jitter(c.Init, r.rng)
	}
	if s := r.job.Start; s.Affine != nil {
		if len(s.Affine) != len(affine) {
			return nil, fmt.Errorf("%w: a start affine of %d values, want %d", ErrConfig, len(s.Affine), len(affine))
		}
		copy(affine, s.Affine)
	} else {
		c.gain(affine, p.Bottleneck)
	}
	r.masks = newMaskSource(r.env.Bank, c, r.rng, []*Logits{logits}, [][]float32{affine})
	r.result.Logits = logits
	return r.masks, nil
}

// gain scales LN_b's weights, not its biases, in a fresh affine [L][2][b].
func (c Config) gain(affine []float32, b int) {
	for i := range affine {
		if c.Gain > 0 && i/b%2 == 0 {
			affine[i] *= float32(c.Gain)
		}
	}
}

// train runs the epochs.
func (r *run) train(ctx context.Context) error {
	order := newOrder(r.rng, len(r.job.Train), r.config)
	length := func(i int) int { return len(r.job.Train[i].Text.IDs) }
	for len(r.result.Losses) < r.schedule.steps {
		for _, which := range order.epoch(length) {
			if len(r.result.Losses) == r.schedule.steps {
				break
			}
			if err := r.step(ctx, which); err != nil {
				return err
			}
		}
		if r.held != nil {
			stop, err := r.watch(ctx)
			if err != nil {
				return err
			}
			if stop {
				r.result.Stopped = true
				break
			}
		}
	}
	if r.held != nil {
		r.best.restore(r.trainer.opt.params)
	}
	return nil
}

// step learns from the examples that which names.
func (r *run) step(ctx context.Context, which []int) error {
	b, err := r.inputs.batch(which)
	if err != nil {
		return err
	}
	step := len(r.result.Losses)
	loss, err := r.trainer.step(ctx, b, r.schedule.noise(step), r.schedule.rate(step))
	if err != nil {
		return err
	}
	r.result.Losses = append(r.result.Losses, loss)
	if p := r.config.Progress; p != nil {
		p(Progress{Step: r.done + step + 1, Steps: r.schedule.steps * max(1, r.config.Runs), Loss: loss})
	}
	return nil
}

func (r *run) finish(began time.Time) (*Result, error) {
	res := &r.result
	res.Head, res.Steps = r.trainer.output.head, len(res.Losses)
	if bs := r.trainer.output.biases; bs != nil {
		res.Bias = bs[0].value
	}
	for _, p := range r.trainer.opt.params {
		res.Trained += len(p.value)
	}
	if r.masks != nil {
		mask, err := res.Logits.Mask(min(r.config.K, res.Logits.N))
		if err != nil {
			return nil, fmt.Errorf("learner: training diverged: %w", err)
		}
		res.Mask, res.Affine = mask, r.masks.norms[0].value
	}
	for _, l := range res.Losses {
		if l-l != 0 {
			return nil, fmt.Errorf("learner: training diverged: a loss is not finite")
		}
	}
	res.Took = time.Since(began)
	return res, nil
}
