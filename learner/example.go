package learner

import (
	"fmt"

	"github.com/xpeft/xpeft/model"
)

// Example is one labelled text.
type Example struct {
	Text   model.Encoding
	Class  int     // index into the head's labels
	Target float32 // for a regressor

	Weight   float32 // its share of the loss; 0: 1
	Rejected bool    // the text is not of Class: its loss is −log(1 − p)

	Held bool // it is measured on and not trained on: whoever divides examples goes by it
}

// Start is where a profile's training begins. A nil field means fresh: zeros with jitter for the
// logits, the bank's default for the affine, zeros for the bias.
type Start struct {
	Logits *Logits
	Affine []float32 // [L][2][b]
	Bias   []float32 // [C]
}

// Job is one profile to learn.
type Job struct {
	Head *model.Head // where the head starts; it is copied, never written
	// its last rows, which alone are trained where Config.Head says so, without their biases; 0:
	// the whole head
	Rows  int
	Prior []float32 // added to the logits of the labels, in training and in scores; nil: none
	Train []Example
	Held  []Example // for early stopping; never trained on
	Start Start

	Prepared *Prepared // of Train, for jobs that share texts; nil: the run prepares its own
}

func (j *Job) validate() error {
	if len(j.Train) == 0 {
		return fmt.Errorf("%w: no examples", ErrConfig)
	}
	if j.Head == nil {
		return fmt.Errorf("%w: no head", ErrConfig)
	}
	if err := j.Head.Validate(); err != nil {
		return err
	}
	if j.Rows < 0 || j.Rows >= max(1, len(j.Head.Labels)) {
		return fmt.Errorf("%w: %d rows of a head of %d labels", ErrConfig, j.Rows, len(j.Head.Labels))
	}
	if j.Prior != nil && (len(j.Prior) != len(j.Head.Labels) || j.Head.Regression()) {
		return fmt.Errorf("%w: a prior of %d for %d labels", ErrConfig, len(j.Prior), len(j.Head.Labels))
	}
	for _, set := range [][]Example{j.Train, j.Held} {
		for i, e := range set {
			if e.Rejected && j.Head.Regression() {
				return fmt.Errorf("%w: example %d rejects a label of a head that gives a number", ErrConfig, i)
			}
			if !j.Head.Regression() && (e.Class < 0 || e.Class >= len(j.Head.Labels)) {
				return fmt.Errorf("%w: example %d has class %d of %d", ErrConfig, i, e.Class, len(j.Head.Labels))
			}
			if e.Target-e.Target != 0 {
				return fmt.Errorf("%w: example %d has a target that is not finite", ErrConfig, i)
			}
			if len(e.Text.IDs) == 0 {
				return fmt.Errorf("%w: example %d has no tokens", ErrConfig, i)
			}
		}
	}
	return nil
}
