package learner

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// runStream keeps the draws of a run apart from others with its seed.
const runStream = 0x9e3779b97f4a7c15

// run is one profile's learning: one training, or, with Config.Runs, several one after another. It
// says which examples the next step takes and hears of the step's loss; who takes the step, alone
// or together with other profiles', is not its business.
type run struct {
	number int // of LearnMany's jobs
	env    Env
	job    Job
	config Config
	inputs *Prepared
	held   *Prepared
	result Result
	found  [][]float32 // what each training that ended has found

	// Of the training under way.
	rng      *rand.Rand
	masks    *maskSource // nil in the baselines; of Config.Top's blocks
	affine   []float32   // of all blocks
	trainer  *trainer
	schedule schedule
	order    *order
	batches  [][]int // left of the epoch
	epochs   int     // begun
	step     int
	best     kept
}

// newRun checks a job and makes what is trained. prepare comes next.
func newRun(env Env, j Job, c Config) (*run, error) {
	if err := check(env, &j, c); err != nil {
		return nil, err
	}
	r := &run{env: env, job: j, config: c, schedule: c.schedule(c.steps(len(j.Train)))}
	r.begin()
	return r, nil
}

// check finds what would make a run fail before its first step.
func check(env Env, j *Job, c Config) error {
	n := 0
	if env.Bank != nil {
		n = env.Bank.Properties().N
	} else if c.Mode != HeadOnly {
		return fmt.Errorf("%w: mode %s without a bank", ErrConfig, c.Mode)
	}
	if err := cmp.Or(c.validate(n), j.validate()); err != nil {
		return err
	}
	if p := j.Prepared; p != nil && (len(p.examples) != len(j.Train) || !p.fits(env, c)) {
		return fmt.Errorf("%w: %d examples, %d of them prepared, or for another mode or other adapters", ErrConfig,
			len(j.Train), len(p.examples))
	}
	if err := env.checkHead(j.Head.Hidden); err != nil {
		return err
	}
	if c.Mode != Masks {
		if c.Mode == SingleAdapter {
			return env.trains(env.Encoder.Blocks(), 0)
		}
		return nil
	}
	p, enc := env.Bank.Properties(), env.Encoder
	if p.Blocks > enc.Blocks() || p.Hidden != enc.Hidden() {
		return fmt.Errorf("%w: a bank of L=%d, d=%d for an encoder of L=%d, d=%d", ErrConfig, p.Blocks, p.Hidden,
			enc.Blocks(), enc.Hidden())
	}
	if c.Top > p.Blocks || c.Top > 0 && !p.NormB {
		return fmt.Errorf("%w: the top %d blocks of a bank of L=%d, with LN_b: %t", ErrConfig, c.Top, p.Blocks, p.NormB)
	}
	if g := j.Start.Logits; g != nil && (g.N != p.N || g.Blocks != p.Blocks) {
		return fmt.Errorf("%w: a start of N=%d, L=%d", ErrConfig, g.N, g.Blocks)
	}
	if a := j.Start.Affine; a != nil && len(a) != len(env.Bank.Affine()) {
		return fmt.Errorf("%w: a start affine of %d values, want %d", ErrConfig, len(a), len(env.Bank.Affine()))
	}
	return env.trains(p.Blocks-c.below(p.Blocks), p.Targets)
}

// prepare computes what training cannot change, unless it was.
func (r *run) prepare(ctx context.Context) (err error) {
	if p := r.job.Prepared; p != nil {
		r.inputs = &Prepared{r.job.Train, p.stems, p.features}
	} else if r.inputs, err = prepared(ctx, r.env, r.config, r.job.Train); err != nil {
		return err
	}
	if r.config.Patience > 0 && len(r.job.Held) > 0 {
		r.held, err = prepared(ctx, r.env, r.config, r.job.Held)
	}
	return err
}

// begin makes what the next training trains.
func (r *run) begin() {
	r.rng = rand.New(rand.NewPCG(r.config.Seed+uint64(len(r.found)), runStream))
	src := r.newSource()
	c := r.config
	c.HeadRate = r.env.headRate(c.HeadRate)
	r.trainer = newTrainer(r.env, src, newOutput(c, &r.job), c.Decay)
	r.order, r.batches, r.epochs, r.step, r.best = newOrder(r.rng, len(r.job.Train), r.config), nil, 0, 0, kept{}
}

func (r *run) newSource() source {
	c, enc := r.config, r.env.Encoder
	switch c.Mode {
	case HeadOnly:
		return none{}
	case SingleAdapter:
		return newAdapterSource(enc.Blocks(), enc.Hidden(), r.env.Bank.Properties().Bottleneck, c.HeadRate, r.rng)
	}
	p, start := r.env.Bank.Properties(), r.job.Start
	logits, affine := NewLogits(p.N, p.Blocks), slices.Clone(r.env.Bank.Affine())
	if start.Logits != nil {
		logits = start.Logits.clone()
	} else {
		logits.jitter(c.Init, r.rng)
	}
	if start.Affine != nil {
		copy(affine, start.Affine)
	} else {
		c.gain(affine, p.Bottleneck)
	}
	if c.OneMask {
		copy(logits.Values[len(logits.Values)/2:], logits.Values)
	}
	r.result.Logits, r.affine = logits, affine
	below := c.below(p.Blocks)
	off := affine[:len(affine)/p.Blocks*below]
	clear(off)
	r.masks = newMaskSource(r.env.Bank, c, r.rng, []*Logits{logits.top(below)}, [][]float32{affine[len(off):]})
	return r.masks
}

// gain scales LN_b's weights, not its biases, in a fresh affine [L][2][b].
func (c Config) gain(affine []float32, b int) {
	for i := range affine {
		if c.Gain > 0 && i/b%2 == 0 {
			affine[i] *= float32(c.Gain)
		}
	}
}

// next is the examples of the next step; none when the run is over. Between epochs it looks at the
// held-out examples.
func (r *run) next(ctx context.Context) ([]int, error) {
	length := func(i int) int { return len(r.job.Train[i].Text.IDs) }
	for len(r.batches) == 0 || r.step == r.schedule.steps {
		stop := r.step == r.schedule.steps
		if r.epochs > 0 && r.held != nil {
			worse, err := r.watch(ctx)
			if err != nil {
				return nil, err
			}
			r.result.Stopped = r.result.Stopped || worse
			stop = stop || worse
		}
		if !stop {
			r.batches = r.order.epoch(length)
			r.epochs++
		} else if !r.again() {
			return nil, nil
		}
	}
	which := r.batches[0]
	r.batches = r.batches[1:]
	return which, nil
}

// again ends a training. It begins the next, or leaves the average of all where the last one's
// values are.
func (r *run) again() bool {
	if r.held != nil {
		r.best.restore(r.trainer.opt.params)
	}
	if r.config.Runs < 2 {
		return false
	}
	r.found = append(r.found, slices.Concat(values(r.trainer.opt.params)...))
	if len(r.found) < r.config.Runs {
		r.begin()
		return true
	}
	mean := meanOf(r.found)
	for _, p := range r.trainer.opt.params {
		mean = mean[copy(p.value, mean):]
	}
	return false
}

func values(params []*param) (all [][]float32) {
	for _, p := range params {
		all = append(all, p.value)
	}
	return all
}

// noise is ν of the next step.
func (r *run) noise() float64 { return r.schedule.noise(r.step) }

// applyStep applies one optimizer step from the gradients in the params.
func (r *run) applyStep(loss float32) error {
	r.trainer.opt.update(r.schedule.rate(r.step))
	r.step++
	r.result.Losses = append(r.result.Losses, loss)
	if loss-loss != 0 {
		return errDiverged
	}
	if r.masks != nil {
		for _, x := range r.masks.of[0].logits.value {
			if x-x != 0 {
				return errDiverged
			}
		}
	}
	if p := r.config.Progress; p != nil {
		p(Progress{Job: r.number, Step: len(r.result.Losses), Steps: r.schedule.steps * max(1, r.config.Runs),
			Loss: loss})
	}
	return nil
}

// train takes all steps, alone.
func (r *run) train(ctx context.Context) error {
	for {
		which, err := r.next(ctx)
		if err != nil || which == nil {
			return err
		}
		losses, err := r.trainer.gradient(ctx, r.inputs.batch(which), []float64{r.noise()})
		if err != nil {
			return err
		}
		if err := r.applyStep(losses[0]); err != nil {
			return err
		}
	}
}

func (r *run) finish(began time.Time) (*Result, error) {
	res := &r.result
	out := r.trainer.outputs[0]
	res.Head, res.Steps = out.head, len(res.Losses)
	if out.bias != nil {
		res.Bias = out.bias.value
	}
	for _, p := range r.trainer.opt.params {
		res.Trained += len(p.value)
	}
	if r.masks != nil {
		res.Logits.setTop(r.masks.of[0].logits.value)
		mask, err := res.Logits.Mask(min(r.config.K, res.Logits.N))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errDiverged, err)
		}
		res.Mask, res.Affine = mask, r.affine
	}
	res.Took = time.Since(began)
	return res, nil
}
