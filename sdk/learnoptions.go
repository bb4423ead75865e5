package sdk

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/learner"
)

// withDefaults copies and validates.
func (o *LearnOptions) withDefaults() (LearnOptions, error) {
	c := *cmp.Or(o, &LearnOptions{})
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

// learnConfig is the training's configuration: an own head is trained, and of a shared one the rows
// that are the profile's own. Over a bank in more blocks than the engine trains, it is of the masks
// in the last ones.
func (l *learning) learnConfig() learner.Config {
	props, own, trains := l.bank.Properties(), l.headRef == 0, l.sdk.engine.Trains()
	c := learner.Default()
	// fitted to examples, and not made of the labels' names
	isTrained := slices.ContainsFunc(l.head.Counts, func(n uint32) bool { return n > 0 })
	if !own && isTrained && props.Blocks < l.sdk.encoder.Blocks() {
		c = learner.LastBlocks()
	}
	c.K = 0
	if l.options.Config != nil {
		c = *l.options.Config
	}
	c.Mode = learner.Masks
	c.K = cmp.Or(c.K, l.k())
	c.Head, c.Bias = own || l.rows > 0, c.Bias && !own
	if half := (props.Blocks + 1) / 2; l.options.Config == nil {
		if l.options.Effort == learner.EffortFast && half < min(props.Blocks, trains) && l.bareBelow(half) {
			c.Top = half
		} else {
			c, _ = c.With(l.options.Effort)
		}
	}
	if props.Blocks > trains {
		c.Top = cmp.Or(c.Top, trains)
	}
	if f := l.options.Progress; f != nil {
		c.Progress = func(x learner.Progress) { f(x.Step, x.Steps, x.Loss) }
	}
	return c
}

// k is how many ones a row gets: as many as it has, or as new profiles get.
func (l *learning) k() int {
	if l.old == nil || l.old.mask == nil || !l.sdk.trains(l.old.bank) {
		return l.sdk.kOver(l.bank)
	}
	return min(l.old.mask.K, l.bank.Properties().N)
}

// bareBelow says whether all blocks but the top ones may stay without an adapter: LN_b can turn
// them off, and nothing that training goes on from was learned there. What was is not thrown away
// to be fast.
func (l *learning) bareBelow(top int) bool {
	return l.bank.Properties().NormB && (!l.goesOn || l.old.bareBelow(top))
}

// bareBelow says whether a revision has no adapter but in the top blocks.
func (s *snapshot) bareBelow(top int) bool {
	if s.bank == nil {
		return true
	}
	affine, err := s.affine()
	return err == nil && affine != nil && s.bank.Properties().OffBelow(affine, top)
}
