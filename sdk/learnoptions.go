//go:build cgo

package sdk

import (
	"fmt"
	"strings"

	"github.com/xpeft/xpeft/learner"
)

// learnOptions copies and validates the options and the examples.
func (p *SDK) learnOptions(id string, examples []Example, o *LearnOptions) (LearnOptions, error) {
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
	if c.Labels != nil && (c.Head == SharedHead || c.Head == NumberHead) {
		faults = append(faults, fmt.Sprintf("labels of its own for a %s head", c.Head))
	}
	if c.AddLabels && c.Head == "" {
		c.Head = OwnHead
	}
	if c.AddLabels && c.Head != OwnHead {
		faults = append(faults, fmt.Sprintf("AddLabels for a %s head", c.Head))
	}
	if c.Config != nil && (c.Config.Mode != learner.Masks || c.Config.Soft) {
		faults = append(faults, "a profile is learned with hard masks: baselines and soft masks are package learner's")
	}
	faults = append(faults, labelFaults(c.Labels)...)
	if err := configError(faults); err != nil {
		return c, err
	}
	if id == "" {
		return c, fmt.Errorf("%w: an empty one", ErrID)
	}
	if len(examples) == 0 {
		return c, fmt.Errorf("%w: none given", ErrExample)
	}
	for i, e := range examples {
		if err := e.validate(); err != nil {
			return c, fmt.Errorf("%w: example %d: %s", ErrExample, i, err)
		}
	}
	return c, nil
}

type exampleFault string

func (f exampleFault) Error() string { return string(f) }

func (e Example) validate() error {
	switch {
	case strings.TrimSpace(e.Text) == "":
		return exampleFault("no text")
	case e.Value-e.Value != 0:
		return exampleFault("a value that is not finite")
	case e.Label != "" && e.Label[0] == numberMark:
		return exampleFault("a label that begins with a control byte")
	}
	return nil
}

// learnConfig is the training's configuration: an own head is trained, a shared one is not.
func (p *SDK) learnConfig(o LearnOptions, own bool) learner.Config {
	c := learner.Default()
	c.K = p.k
	if o.Config != nil {
		c = *o.Config
		if c.K == 0 {
			c.K = p.k
		}
	}
	c.Head, c.Bias = own, c.Bias && !own
	if o.Progress != nil {
		c.Progress = func(x learner.Progress) { o.Progress(x.Step, x.Steps, x.Loss) }
	}
	return c
}
