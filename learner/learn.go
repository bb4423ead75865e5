package learner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/engine/native"
	"github.com/xpeft/xpeft/model"
)

// Env is what is frozen while profiles are learned.
type Env struct {
	Engine   engine.Engine // over Encoder; nil: the native engine
	Encoder  *model.Encoder
	Bank     *bank.Bank      // for Masks; its bottleneck is also that of SingleAdapter
	Features *model.Features // what heads are over; nil: the pooled embedding
}

// ready is env with an engine.
func (env Env) ready() Env {
	if env.Engine == nil {
		env.Engine = native.New(env.Encoder)
	}
	return env
}

// trains refuses adapters in more blocks than the engine trains.
func (env Env) trains(blocks int, targets model.Targets) error {
	kind, most := "an adapter", env.Engine.Trains()
	if targets != 0 {
		kind, most = "a LoRA", env.Engine.TrainsLoRA()
	}
	if blocks > most {
		return fmt.Errorf("%w: %s in %d blocks; engine %s trains it in the last %d at most",
			engine.ErrUntrainable, kind, blocks, env.Engine.Name(), most)
	}
	return nil
}

// from is the encoder's block of the first adapter that c trains, or the one below a LoRA's: -1 for
// the embeddings.
func (env Env) from(c Config) int {
	p := env.Bank.Properties()
	return env.Encoder.Blocks() - p.Reach() + c.below(p.Blocks)
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

// errDiverged is a training that left the finite numbers: a rate is too high.
var errDiverged = errors.New("learner: training diverged")

// Learn trains a profile. Cost: like training one adapter on the same examples; memory:
// Config.StemBudget. ctx ends it within one step, with ctx's error and nothing kept.
func Learn(ctx context.Context, env Env, j Job, c Config) (*Result, error) {
	began := time.Now()
	r, err := trainedRun(ctx, env, j, c)
	if err != nil {
		return nil, err
	}
	return r.finish(began)
}

// LearnPrepared is Learn from examples that were prepared for env's bank, or for a head alone:
// j.Train is set to them.
func LearnPrepared(ctx context.Context, env Env, p *Prepared, j Job, c Config) (*Result, error) {
	j.Train, j.Prepared = p.examples, p
	return Learn(ctx, env, j, c)
}

// trainedRun is a run that has taken all its steps.
func trainedRun(ctx context.Context, env Env, j Job, c Config) (*run, error) {
	r, err := newRun(env.ready(), j, c)
	if err == nil {
		err = r.prepare(ctx)
	}
	if err == nil {
		err = r.train(ctx)
	}
	return r, err
}

// LearnAndEmbed is Learn, and what a head sees of more texts under what was learned, as Embed gives
// it, exactly as trained: the only way to see what soft masks or a single adapter do, which no
// profile stores.
func LearnAndEmbed(ctx context.Context, env Env, j Job, c Config, texts []Example) (*Result, []float32, error) {
	began := time.Now()
	r, err := trainedRun(ctx, env, j, c)
	if err != nil {
		return nil, nil, err
	}
	x, err := embedUnder(ctx, r.env, texts, nil, r.trainer.source)
	if err != nil {
		return nil, nil, err
	}
	res, err := r.finish(began)
	return res, x, err
}
