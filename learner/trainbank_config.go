package learner

import (
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/model"
)

// BankProfile is one profile whose examples a warm bank is made of, or watched with.
type BankProfile struct {
	Train []Example // of a profile in BankJob.Watch: not used
	Held  []Example // of a profile in BankJob.Watch: what the loss is measured on
	Prior []float32 // of the profile's labels, in training and in the watch; nil: none
}

// BankJob is what a warm bank is made of.
type BankJob struct {
	Head     *model.Head // shared by all, where it starts
	Profiles []BankProfile
	// profiles that are not trained on: their loss, served from the population's start, says when
	// to stop
	Watch []BankProfile
}

// BankConfig says what bank is made, and how.
type BankConfig struct {
	// Config's mode is Masks. Updates is the number of steps and must be given; Epochs, Batch and
	// Patience are not used. HeadRate trains the head if Head is set; Decay is on the adapters and
	// the head.
	Config
	N, Bottleneck int
	Blocks        int     // the encoder's last ones, which get adapters
	RowRate       float64 // of the adapters' weights
	Profiles      int     // in a step
	Texts         int     // of each of them
	WatchEvery    int     // steps between two looks at the watched profiles
	WatchPatience int     // looks without a better loss before training stops; 0: never

	// Shaped starts from adapters that the head shapes instead of from random ones: random
	// combinations of the directions in which it tells its labels apart.
	// Then Updates may be 0: nothing is trained, and the head is as it was.
	Shaped bool
	SigmaB float64 // of Shaped: the standard deviation of Up along each direction
	// Apart is the paper's way: adapter i is trained for profile i alone, and masks are not
	// trained. N is at least the number of profiles; the rest stay random.
	Apart bool

	// Checkpoint is the file that training resumes from, and leaves off to every CheckpointEvery
	// steps; empty: none. A finished run deletes it.
	Checkpoint      string
	CheckpointEvery int
}

// DefaultBank makes a joint warm bank: adapters trained to be averaged, together with the masks of
// the first profiles.
func DefaultBank() BankConfig {
	c := Default()
	c.Head, c.Bias, c.K = true, false, 8
	c.HeadRate, c.Decay, c.Updates = 1e-3, 0.01, 400
	return BankConfig{Config: c, N: 64, Bottleneck: 24, Blocks: 1, SigmaB: defaultShaped, RowRate: 1e-3, Profiles: 16,
		Texts: 4, WatchEvery: 20, WatchPatience: 5, CheckpointEvery: 50}
}

// BankResult is a trained bank, still in memory.
type BankResult struct {
	Properties bank.Properties
	Affine     []float32    // LN_b's default, [L][2][b]: the mean of the profiles'
	Row        bank.RowFunc // the adapters, for bank.Save
	Head       *model.Head
	Logits     []*Logits // of each profile
	Population *Logits   // where a new profile starts

	Losses  []float32 // one a step
	Watched []float64 // one a look, the first before any step: mean loss of the watched profiles
	Best    int       // the step after which the loss was best, which is what was kept
	Resumed int       // steps that an earlier run had made
}

func (c BankConfig) properties(enc *model.Encoder) bank.Properties {
	return bank.Properties{Origin: bank.Warm, N: c.N, Blocks: c.Blocks, Hidden: enc.Hidden(),
		Bottleneck: c.Bottleneck, NormB: true}
}

func (c BankConfig) validateBank(j BankJob, enc *model.Encoder) error {
	c.Mode = Masks
	if c.Apart {
		c.K = 1
	}
	c.Config.Epochs, c.Config.Batch = 1, 1
	if err := c.Config.validate(c.N); err != nil {
		return err
	}
	switch {
	case c.Blocks < 1 || c.Blocks > enc.Blocks() || c.Bottleneck < 1 || c.N < 1:
		return fmt.Errorf("%w: a bank of N=%d, b=%d in %d of %d blocks", ErrConfig, c.N, c.Bottleneck, c.Blocks,
			enc.Blocks())
	case c.Updates < 1 && !c.Shaped || c.Profiles < 1 || c.Texts < 1:
		return fmt.Errorf("%w: %d updates of %d profiles with %d texts each", ErrConfig, c.Updates, c.Profiles, c.Texts)
	case len(j.Profiles) < 2:
		return fmt.Errorf("%w: a bank of %d profiles, want 2 or more", ErrConfig, len(j.Profiles))
	case c.Apart && c.N < len(j.Profiles):
		return fmt.Errorf("%w: N=%d for one adapter for each of %d profiles", ErrConfig, c.N, len(j.Profiles))
	case c.Soft || c.OneMask || c.Bias:
		return fmt.Errorf("%w: a bank is trained with hard masks, two a profile, and no bias", ErrConfig)
	case !(c.RowRate >= 0 && c.RowRate < 1e6):
		return fmt.Errorf("%w: a row rate of %g", ErrConfig, c.RowRate)
	case len(j.Watch) > 0 && c.WatchEvery < 1 || c.Checkpoint != "" && c.CheckpointEvery < 1:
		return fmt.Errorf("%w: a watch every %d steps, a checkpoint every %d", ErrConfig, c.WatchEvery,
			c.CheckpointEvery)
	}
	return nil
}

// validate checks each profile as Learn would.
func (j BankJob) validate() error {
	if j.Head == nil || j.Head.Regression() {
		return fmt.Errorf("%w: a bank is trained with a shared head of labels", ErrConfig)
	}
	for i, p := range slices.Concat(j.Profiles, j.Watch) {
		what, examples := "profile", p.Train
		if i >= len(j.Profiles) {
			what, i, examples = "watched profile", i-len(j.Profiles), p.Held
		}
		one := Job{Head: j.Head, Prior: p.Prior, Train: examples}
		if err := one.validate(); err != nil {
			return fmt.Errorf("%s %d: %w", what, i, err)
		}
	}
	return nil
}
