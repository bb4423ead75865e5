package sdk

import (
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Errors that callers tell apart with errors.Is. A digest that does not fit is also a
// *[MismatchError].
var (
	ErrProfileNotFound = store.ErrNotFound
	ErrExists          = store.ErrExists
	ErrLocked          = store.ErrLocked
	ErrCorrupt         = store.ErrCorrupt
	ErrClosed          = store.ErrClosed
	ErrConflict        = store.ErrConflict
	ErrSchema          = store.ErrSchema
	ErrID              = store.ErrID
	ErrMismatch        = store.ErrMismatch
	ErrLimit           = store.ErrLimit
	ErrSignature       = store.ErrSignature  // of Import
	ErrEncrypted       = folder.ErrEncrypted // of Import
	ErrFull            = store.ErrFull       // no room on the disk: nothing of the call is stored
	// the folder is encrypted, and Options.MasterKey is missing or not its own
	ErrKey         = store.ErrKey
	ErrNoBase      = store.ErrNoBase       // of Backup: the folder does not remember a backup of that revision
	ErrReadOnly    = store.ErrReadOnly     // of Learn, Import, Forget and TrainHead with Options.ReadOnly
	ErrNoCUDA      = engine.ErrNoCUDA      // no CUDA device, or a program built without -tags torch
	ErrNoKernel    = model.ErrNoKernel     // an Options.Kernel that this processor, or this build, cannot run
	ErrUntrainable = engine.ErrUntrainable // a LearnOptions.Config that trains more blocks than the engine can
	ErrUnsupported = model.ErrUnsupported
	ErrCheckpoint  = model.ErrCheckpoint
	ErrTokenizer   = model.ErrTokenizer
	ErrLearnConfig = learner.ErrConfig

	// ErrModelMismatch: the model's folder does not hold the model that the store is bound to.
	ErrModelMismatch = errors.New("sdk: another model than the store's")
	// ErrUnknownLabel: an example has a label that the profile's head does not have.
	ErrUnknownLabel = errors.New("sdk: unknown label")
	// ErrExample: a text of nothing visible, or an example that cannot be learned: no label for a
	// head of labels, or a label for a head of numbers.
	ErrExample = errors.New("sdk: bad example")
	// ErrExampleNotFound: the profile has stored no example of the text.
	ErrExampleNotFound = errors.New("sdk: example not found")
	// ErrTwice: one profile is there twice in a call that changes each once.
	ErrTwice = errors.New("sdk: a profile is there twice")
	// ErrBusy: another TrainBank of the same folder is under way.
	ErrBusy = errors.New("sdk: a bank is being trained already")
	// ErrNoPopulation: the folder has no axes on which its people differ, or cannot have any; or
	// Ask has no candidates, and the bank keeps none.
	ErrNoPopulation = errors.New("sdk: no population")
	// ErrConfig: a Config, Options or LearnOptions that cannot be; the message lists every fault.
	ErrConfig = errors.New("sdk: bad configuration")

	errNoAxes  = fmt.Errorf("%w: TrainBank has found no axes on which this folder's people differ", ErrNoPopulation)
	errNoTexts = fmt.Errorf("%w: no candidates, and the bank keeps no texts", ErrNoPopulation)
)

// corrupt marks damage that a package below found as this package's too. What the store refers to
// and lacks is damage, not a profile that was not found.
func corrupt(what string, err error) error {
	switch {
	case err == nil || errors.Is(err, ErrCorrupt):
		return err
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: %s: %v", ErrCorrupt, what, err)
	case errors.Is(err, bank.ErrCorrupt):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// MismatchError names the digest that does not fit: of an encoder, tokenizer, bank or head.
type MismatchError = store.MismatchError
