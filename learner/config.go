package learner

import (
	"errors"
	"fmt"
	"strings"
)

// Mode is what stands in the adapter's place.
type Mode string

const (
	Masks         Mode = "x_peft"         // k-hot masks over the bank
	SingleAdapter Mode = "single_adapter" // one trained adapter: AdapterHub's Pfeiffer, ReLU, biases, no LN_b
	HeadOnly      Mode = "head_only"      // nothing: the head on frozen embeddings
)

// ErrConfig wraps every fault of a Config or a Job.
var ErrConfig = errors.New("learner: bad configuration")

// Config says what is trained and how.
type Config struct {
	Mode    Mode
	K       int  // adapters averaged in each row
	OneMask bool // one mask for both sides of an adapter
	Soft    bool // softmax weights instead of k-hot: for training and evaluation only; a stored profile is hard

	// Top trains the bank's last blocks only, so many of them; 0: all. Below, LN_b's affine becomes
	// zero, so that the adapter does nothing there, and the logits stay: what the bare encoder
	// makes of an example there is computed once, and a step costs as much less. It needs a bank
	// with LN_b.
	Top int

	Affine bool // train LN_b's affine
	Bias   bool // train a bias on the head's labels
	Head   bool // train the head

	Epochs  int
	Updates int // most steps; 0: as many as the epochs take
	// FullStepsAt is the number of examples from which on a training takes all its steps. With n
	// fewer it takes the share (n/FullStepsAt)², so that one or two examples do not move it far
	// from its start; 0: 1
	FullStepsAt int
	Batch       int // examples a step
	// LengthBuckets is how many batches are sorted by length together, so that less of a step is
	// padding; then batches are shuffled; 0: none
	LengthBuckets int
	// WarmUp is the share of the steps in which the rates rise from 0; then they fall linearly to
	// 0, unless Constant.
	WarmUp float64
	// Constant keeps the rates as they are.
	Constant bool

	MaskRate   float64
	AffineRate float64
	BiasRate   float64
	HeadRate   float64 // and a single adapter's
	Decay      float64 // AdamW's weight decay, on all that is trained

	Tau   float64 // Algorithm 1's temperature
	Nu    float64 // strength of the Gumbel noise at the first step
	NuEnd float64 // and at the last
	Init  float64 // standard deviation of fresh logits around their start
	// a fresh start has the bank's LN_b weights times this: how far the first adapter moves the
	// encoder; 0 means 1
	Gain float64

	// trainings from Seed, Seed+1, …, whose logits, affines and biases are averaged before the mask
	// is taken: less noise for more time; 0 means 1
	Runs int

	Patience   int // epochs without a better loss on the held-out examples before training stops; 0: never
	Seed       uint64
	StemBudget int64 // bytes for all examples' states below the first adapter; beyond it they are computed in each step

	Progress func(Progress) // called after each step of a profile, in the goroutine of Learn or LearnMany
}

// Progress of a run.
type Progress struct {
	Job         int // of LearnMany: whose step
	Step, Steps int
	Loss        float32
}

// Default is what works for a few dozen examples: hard masks, little noise that fades, many small
// steps.
func Default() Config {
	return Config{
		Mode: Masks, K: 50, Affine: true, Bias: true,
		Epochs: 10, Batch: 8, WarmUp: 0.1,
		MaskRate: 0.2, AffineRate: 0.1, BiasRate: 0.05, HeadRate: 1e-3,
		Tau: 1, Nu: 0.3, NuEnd: 0, Init: 0.01,
		StemBudget: 256 << 20,
	}
}

// LastBlocks is what works over a bank in the encoder's last blocks only and under a shared head
// that was fitted to other people: then most is right already, a step is cheap and every bit tells.
// Training starts from next to nothing, LN_b's weights at a twentieth, so that the first answers
// are those of the shared head and the prior, and a person with few examples stays near them. No
// noise, no bias beside the label prior, and logits that start apart, so that some dozen small
// steps change the bits that matter and leave the rest.
func LastBlocks() Config {
	c := Default()
	c.Bias, c.Nu, c.Init, c.Gain = false, 0, 1, 0.05
	c.MaskRate, c.AffineRate, c.Epochs, c.Batch, c.FullStepsAt = 0.1, 0.02, 20, 4, 8
	return c
}

// SharedHead is how a head that many profiles share is fitted to the examples of all of them, over
// the bare encoder: long enough to tell labels apart, and short enough to stay modest on new
// people, who add their own prior to it.
func SharedHead() Config {
	c := Default()
	c.Mode, c.Head, c.Bias, c.Affine = HeadOnly, true, false, false
	c.HeadRate, c.Epochs, c.Batch = 3e-3, 20, 32
	return c
}

// Effort trades time for quality.
type Effort string

const (
	EffortDefault Effort = ""
	// two fifths of the epochs; package sdk trains half of the blocks instead, where it can
	EffortFast     Effort = "fast"
	EffortThorough Effort = "thorough" // the average of three trainings: three times the time
)

// With is the configuration at another effort; false if there is none of that name.
func (c Config) With(e Effort) (Config, bool) {
	switch e {
	case EffortDefault:
	case EffortFast:
		c.Epochs = max(1, c.Epochs*2/5)
	case EffortThorough:
		if c.Mode == Masks && !c.Head && !c.Soft {
			c.Runs = 3
		} else { // a head cannot be averaged with others
			c.Epochs *= 2
		}
	default:
		return c, false
	}
	return c, true
}

// Paper is the setting of X-PEFT's section 4: learning rate 1e-5 with linear decay, 10 epochs,
// batches of 64, k=50, seed 42; T=128 and b=48 belong to the store and the bank, CLS pooling and
// the two-layer tanh head to the job's encoder and head. Where the paper is silent: ν=1, τ=1,
// weight decay 0.01, no warm-up, logits from N(0, 0.01), no dropout.
func Paper() Config {
	const rate = 1e-5
	return Config{
		Mode: Masks, K: 50, Affine: true, Head: true,
		Epochs: 10, Batch: 64,
		MaskRate: rate, AffineRate: rate, BiasRate: rate, HeadRate: rate, Decay: 0.01,
		Tau: 1, Nu: 1, NuEnd: 1, Init: 0.01,
		Seed: 42, StemBudget: 256 << 20,
	}
}

// validate lists every fault.
func (c Config) validate(n int) error {
	var faults []string
	bad := func(when bool, format string, args ...any) {
		if when {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	bad(c.Mode != Masks && c.Mode != SingleAdapter && c.Mode != HeadOnly, "mode %q", c.Mode)
	bad(c.Mode == Masks && (c.K < 1 || c.K > n), "k=%d of N=%d", c.K, n)
	bad(c.Mode == HeadOnly && !c.Head && !c.Bias, "head_only with neither head nor bias to train")
	bad(c.Epochs < 1 || c.Batch < 1 || c.Updates < 0 || c.FullStepsAt < 0 || c.LengthBuckets < 0,
		"%d epochs of batches of %d, %d length buckets, %d updates, all steps at %d examples",
		c.Epochs, c.Batch, c.LengthBuckets, c.Updates, c.FullStepsAt)
	bad(!(c.WarmUp >= 0 && c.WarmUp <= 1), "warm-up %g", c.WarmUp)
	for _, r := range []float64{c.MaskRate, c.AffineRate, c.BiasRate, c.HeadRate, c.Decay, c.Nu, c.NuEnd, c.Init,
		c.Gain} {
		bad(!(r >= 0 && r < 1e6), "a rate, decay or noise of %g", r)
	}
	bad(!(c.Tau > 0), "τ=%g", c.Tau)
	bad(c.Top < 0 || c.Top > 0 && c.Mode != Masks, "the top %d blocks of mode %s", c.Top, c.Mode)
	bad(c.Patience < 0, "patience %d", c.Patience)
	bad(c.Runs < 0 || c.Runs > 1 && (c.Mode != Masks || c.Head || c.Soft),
		"%d runs: only hard masks without a head can be averaged", c.Runs)
	if len(faults) > 0 {
		return fmt.Errorf("%w: %s", ErrConfig, strings.Join(faults, "; "))
	}
	return nil
}

// steps is how many a run over n examples takes.
func (c Config) steps(n int) int {
	steps := (n + c.Batch - 1) / c.Batch * c.Epochs
	if n < c.FullStepsAt {
		steps = max(1, (c.FullStepsAt+c.Batch-1)/c.Batch*c.Epochs*n*n/(c.FullStepsAt*c.FullStepsAt))
	}
	if c.Updates > 0 {
		steps = min(steps, c.Updates)
	}
	return steps
}

// below is how many of a bank's blocks are not trained.
func (c Config) below(blocks int) int {
	if c.Top == 0 {
		return 0
	}
	return blocks - c.Top
}
