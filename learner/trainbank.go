package learner

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// TrainBank trains adapters for being averaged: jointly with a mask of every profile and, with
// Head, with the head that they share. Each step takes the next few profiles and a few texts of
// each, so that a profile with many counts as much as one with few. With Watch it stops when
// profiles that it has not seen are served no better, and returns the best. Cost: a step is one
// forward and backward pass of Profiles·Texts texts; memory: four times the bank, and the states of
// all texts below the first adapter within StemBudget. ctx ends it within a step; with a Checkpoint
// the next call with the same job and configuration goes on, and ends with the same bits.
func TrainBank(ctx context.Context, env Env, j BankJob, c BankConfig) (*BankResult, error) {
	t, err := newBankRun(env, j, c)
	if err != nil {
		return nil, err
	}
	if err := t.resume(); err != nil { // before the minutes that follow
		return nil, err
	}
	if err := t.prepare(ctx); err != nil {
		return nil, err
	}
	if err := t.train(ctx); err != nil {
		return nil, err
	}
	return t.finish()
}

// bankRun is one call of TrainBank.
type bankRun struct {
	env     Env
	job     BankJob
	config  BankConfig
	live    *liveBank
	output  *output // the shared head
	logits  []*Logits
	affines [][]float32
	shared  *adamW   // adapters and head
	each    []*adamW // a profile's logits and affine, which move only in its own steps
	inputs  []*Prepared
	watched *Prepared // of all watched profiles' Held, one after another
	plan    plan
	best    kept
	result  BankResult
}

func newBankRun(env Env, j BankJob, c BankConfig) (*bankRun, error) {
	env = env.ready()
	if err := errors.Join(c.validateBank(j, env.Encoder), j.validate()); err != nil {
		return nil, err
	}
	if err := env.trains(c.Blocks, 0); err != nil {
		return nil, err
	}
	if err := env.checkHead(j.Head.Hidden); err != nil {
		return nil, err
	}
	c.Mode = Masks
	t := &bankRun{env: env, job: j, config: c, output: &output{head: j.Head}}
	var shape *model.Head
	if c.Shaped {
		shape = j.Head
	}
	var err error
	if t.live, err = newLiveBank(c.properties(env.Encoder), shape, c.SigmaB, c.Seed, c.RowRate); err != nil {
		return nil, err
	}
	if c.Head && !c.Apart {
		t.output.train(env.headRate(c.HeadRate), 0)
	}
	t.shared = &adamW{params: append(t.live.params(), t.output.params()...), decay: c.Decay}
	t.startProfiles()
	t.plan = plan{seed: c.Seed, profiles: len(j.Profiles), each: min(c.Profiles, len(j.Profiles)), texts: c.Texts}
	return t, nil
}

// startProfiles gives each profile its fresh logits, or, trained apart, its own adapter.
func (t *bankRun) startProfiles() {
	c, p := t.config, t.live.props
	rng := rand.New(rand.NewPCG(c.Seed, 0x2545f4914f6cdd1d))
	for i := range t.job.Profiles {
		g := NewLogits(p.N, p.Blocks)
		if c.Apart {
			for r := range 2 * p.Blocks {
				g.Values[r*p.N+i] = 1
			}
		} else {
			g.jitter(c.Init, rng)
		}
		affine := bank.DefaultAffine(p)
		c.gain(affine, p.Bottleneck)
		t.logits, t.affines = append(t.logits, g), append(t.affines, affine)
		own := &adamW{params: []*param{newParam(g.Values, c.MaskRate), newParam(affine, c.AffineRate)}}
		if c.Apart {
			own.params[0].rate, own.params[1].rate = 0, 0
		}
		t.each = append(t.each, own)
	}
}

// from is the encoder's block of the first adapter.
func (t *bankRun) from() int { return t.env.Encoder.Blocks() - t.config.Blocks }

// prepare computes what is below the first adapter, for all texts.
func (t *bankRun) prepare(ctx context.Context) error {
	from := t.from()
	budget := t.config.StemBudget
	for _, p := range t.job.Profiles {
		st, err := newStems(ctx, t.env, p.Train, from, budget)
		if err != nil {
			return err
		}
		budget -= st.bytes()
		t.inputs = append(t.inputs, &Prepared{examples: p.Train, stems: st})
	}
	var held []Example
	for _, p := range t.job.Watch {
		held = append(held, p.Held...)
	}
	st, err := newStems(ctx, t.env, held, from, budget)
	t.watched = &Prepared{examples: held, stems: st}
	return err
}

func (t *bankRun) train(ctx context.Context) error {
	c := t.config
	if len(t.job.Watch) > 0 && len(t.result.Watched) == 0 { // what training must beat
		if _, err := t.watch(ctx); err != nil {
			return err
		}
	}
	sched := c.schedule(c.Updates)
	for step := len(t.result.Losses); step < c.Updates; step++ {
		loss, err := t.step(ctx, step, sched)
		if err != nil {
			return err
		}
		if loss-loss != 0 {
			return errors.New("learner: training a bank diverged: a loss is not finite")
		}
		t.result.Losses = append(t.result.Losses, loss)
		if c.Progress != nil {
			c.Progress(Progress{Step: step + 1, Steps: c.Updates, Loss: loss})
		}
		stop := false
		if len(t.job.Watch) > 0 && ((step+1)%c.WatchEvery == 0 || step+1 == c.Updates) {
			if stop, err = t.watch(ctx); err != nil {
				return err
			}
		}
		if c.Checkpoint != "" && ((step+1)%c.CheckpointEvery == 0 || stop) {
			if err := t.save(); err != nil {
				return err
			}
		}
		if stop {
			break
		}
	}
	return nil
}

// step trains on one batch of several profiles.
func (t *bankRun) step(ctx context.Context, step int, sched schedule) (float32, error) {
	c := t.config
	who := t.plan.who(step)
	k := c.K
	if c.Apart {
		k = 1
	}
	m := &maskSource{bank: t.live, props: t.live.props, k: k, affine: true, tau: c.Tau, learned: t.live.learn}
	rng := rand.New(rand.NewPCG(c.Seed, uint64(step)+0x9e3779b97f4a7c15))
	noise := sched.noise(step)
	if c.Apart {
		noise = 0
	}
	b, nu := batch{from: t.from(), mean: true}, make([]float64, len(who))
	var outputs []*output
	for i, p := range who {
		own := t.each[p].params
		m.add(own[0], own[1], func(_ int, dst []float32) { gumbel(dst, rng) })
		nu[i] = noise
		out := *t.output
		out.prior = t.job.Profiles[p].Prior
		outputs = append(outputs, &out)
		b.add(t.inputs[p], t.plan.which(step, p, len(t.job.Profiles[p].Train)), i)
	}
	tr := &trainer{env: t.env, source: m, outputs: outputs}
	losses, err := tr.gradient(ctx, b, nu)
	if err != nil {
		return 0, err
	}
	rate := sched.rate(step)
	t.shared.update(rate)
	for _, p := range who {
		t.each[p].update(rate)
	}
	return sumOf(losses), nil
}

func (t *bankRun) finish() (*BankResult, error) {
	t.best.restore(t.all())
	res := &t.result
	res.Properties, res.Row, res.Head = t.live.props, t.live.row, t.output.head
	res.Logits, res.Affine = t.logits, meanOf(t.affines)
	res.Population = t.population()
	return res, t.removeCheckpoint()
}

func sumOf(xs []float32) (sum float32) {
	for _, x := range xs {
		sum += x
	}
	return sum
}

// all are the params of everything, in a fixed order.
func (t *bankRun) all() []*param {
	ps := append([]*param(nil), t.shared.params...)
	for _, o := range t.each {
		ps = append(ps, o.params...)
	}
	return ps
}

// population is the mean of the profiles' logits.
func (t *bankRun) population() *Logits {
	values := make([][]float32, len(t.logits))
	for i, g := range t.logits {
		values[i] = g.Values
	}
	return &Logits{N: t.live.props.N, Blocks: t.live.props.Blocks, Values: meanOf(values)}
}

func meanOf(rows [][]float32) []float32 {
	out := make([]float32, len(rows[0]))
	for i := range out {
		sum := 0.0
		for _, r := range rows {
			sum += float64(r[i])
		}
		out[i] = float32(sum / float64(len(rows)))
	}
	return out
}
