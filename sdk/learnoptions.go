package sdk

import (
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// withDefaults copies and validates.
func (o *LearnOptions) withDefaults() (LearnOptions, error) {
	var c LearnOptions
	if o != nil {
		c = *o
	}
	var faults []string
	switch c.Head {
	case "", SharedHead, OwnHead, NumberHead:
	default:
		faults = append(faults, fmt.Sprintf("head %q", c.Head))
	}
	if _, ok := learner.Default().With(c.Effort); !ok {
		faults = append(faults, fmt.Sprintf("effort %q", c.Effort))
	}
	if c.Labels != nil && c.Head == "" {
		c.Head = OwnHead
	}
	if c.Labels != nil && c.Head != OwnHead {
		faults = append(faults, fmt.Sprintf("labels of its own for a %s head", c.Head))
	}
	if c.AddLabels && c.Head == NumberHead {
		faults = append(faults, "AddLabels for a number head")
	}
	if l := c.Config; l != nil && (l.Mode != "" && l.Mode != learner.Masks || l.Soft) {
		faults = append(faults, "a profile is learned with hard masks: baselines and soft masks are package learner's")
	}
	for label, w := range c.ClassWeights {
		if !(w > 0 && w <= mostWeight) {
			faults = append(faults, fmt.Sprintf("a weight of %g for label %.40q, want up to %d", w, label, mostWeight))
		}
	}
	faults = append(faults, labelFaults(c.Labels)...)
	c.Labels = cleanLabels(c.Labels)
	return c, configError(faults)
}

// learnConfig is the training's configuration: an own head is trained, and of a shared one the rows that are the profile's own.
func (l *lesson) learnConfig() learner.Config {
	k, own := l.sdk.k, l.headRef == 0
	if l.old != nil && l.old.mask != nil {
		k = l.old.mask.K
	}
	c := learner.Default()
	if !own && isTrained(l.head) && l.bank.Properties().Blocks < l.sdk.encoder.Blocks() {
		c = learner.LastBlocks()
	}
	c.K = 0
	if l.options.Config != nil {
		c = *l.options.Config
	}
	c.Mode = learner.Masks
	c.K = orDefault(c.K, min(k, l.bank.Properties().N))
	c.Head, c.Bias = own || l.rows > 0, c.Bias && !own
	if l.options.Config == nil {
		if l.options.Effort == learner.EffortFast && l.bareBelow() {
			c.Top = (l.bank.Properties().Blocks + 1) / 2
		} else {
			c, _ = c.With(l.options.Effort)
		}
	}
	if f := l.options.Progress; f != nil {
		c.Progress = func(x learner.Progress) { f(x.Step, x.Steps, x.Loss) }
	}
	return c
}

// bareBelow says whether the lower half of a bank in several blocks may stay without an adapter: nothing was learned there yet. What was is not thrown away to be fast.
func (l *lesson) bareBelow() bool {
	p := l.bank.Properties()
	if p.Blocks < 2 || !p.NormB {
		return false
	}
	if l.old == nil || !learned(l.old.record) || l.move {
		return true
	}
	affine, err := l.old.affine()
	off := len(affine) / p.Blocks * (p.Blocks / 2)
	return err == nil && off > 0 && !slices.ContainsFunc(affine[:off], func(x float32) bool { return math.Abs(float64(x)) > affineOff })
}

// affineOff is what rounding an affine of zero to 8 bits leaves of it.
const affineOff = 1e-6

// isTrained tells a head that was fitted to examples from one that was made of the labels' names.
func isTrained(h *model.Head) bool {
	return slices.ContainsFunc(h.Counts, func(n uint32) bool { return n > 0 })
}
