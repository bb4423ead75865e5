package sdk

import (
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrProfileNotFound says that the folder has no such profile; of ProfilesOptions, no such bank
	// or head.
	ErrProfileNotFound = store.ErrNotFound
	// ErrExists says that the folder, or a profile of that id, is already there.
	ErrExists = store.ErrExists
	// ErrLocked says that another process, or another Folder, has the folder open.
	ErrLocked = store.ErrLocked
	// ErrCorrupt says that stored bytes, or those of a bundle or backup, are damaged; the message
	// says which.
	ErrCorrupt = store.ErrCorrupt
	// ErrClosed is every call's after Close.
	ErrClosed = store.ErrClosed
	// ErrConflict says that something else wrote the profile, or installed a head, meanwhile.
	ErrConflict = store.ErrConflict
	// ErrSchema says that a newer version wrote the folder, bundle or backup.
	ErrSchema = store.ErrSchema
	// ErrID says that a profile's id is empty, too long or not UTF-8.
	ErrID = store.ErrID
	// ErrMismatch says that the model in its folder is not the one that the profiles were made
	// with, or that data was made for another encoder, tokenizer, bank, head or backup. Where a
	// digest does not fit, the error is also a *MismatchError, which says which.
	ErrMismatch = store.ErrMismatch
	// ErrLimit says that something is larger than Options.Limits allow; the message says what.
	ErrLimit = store.ErrLimit
	// ErrSignature says that Import refused a bundle's signature, or that there is none.
	ErrSignature = store.ErrSignature
	// ErrEncrypted says that no identity of ImportOptions opens the bundle.
	ErrEncrypted = folder.ErrEncrypted
	// ErrFull says that there is no room on the disk: nothing of the call is stored.
	ErrFull = store.ErrFull
	// ErrKey says that the folder is encrypted, and Options.MasterKey is missing or not its own.
	ErrKey = store.ErrKey
	// ErrNoBase says that the folder does not remember the backup that BackupOptions.Since names.
	ErrNoBase = store.ErrNoBase
	// ErrReadOnly says that a call would write to a folder that was opened with Options.ReadOnly.
	ErrReadOnly = store.ErrReadOnly
	// ErrNoCUDA says that there is no CUDA device, or that the program was built without -tags
	// torch.
	ErrNoCUDA = engine.ErrNoCUDA
	// ErrNoKernel says that this processor, or this build, cannot run Options.Kernel.
	ErrNoKernel = model.ErrNoKernel
	// ErrUntrainable says that a LearnOptions.Config trains more blocks than the engine can, or
	// LoRAs; of TrainBank too.
	ErrUntrainable = engine.ErrUntrainable
	// ErrUnsupported says that the model is none that can be read here, or has no pairs of texts.
	ErrUnsupported = model.ErrUnsupported
	// ErrCheckpoint says that the model's weights or configuration are damaged or incomplete.
	ErrCheckpoint = model.ErrCheckpoint
	// ErrTokenizer says that the model's vocabulary is damaged or does not fit its weights.
	ErrTokenizer = model.ErrTokenizer
	// ErrHead says that a head from outside is no linear classifier of the folder's labels.
	ErrHead = model.ErrHead
	// ErrLearnConfig says that a LearnOptions.Config or TrainHeadOptions.Config is invalid.
	ErrLearnConfig = learner.ErrConfig
	// ErrUnknownLabel says that an example has a label that the profile's head does not have.
	ErrUnknownLabel = errors.New("sdk: unknown label")
	// ErrExample says that a text shows nothing, or that an example cannot be learned: it has no
	// label and no value, or both, or the one where the head takes the other.
	ErrExample = errors.New("sdk: bad example")
	// ErrCandidates says that candidates are too few to order or to choose from, that one is there
	// twice, or that what was chosen is none of them.
	ErrCandidates = errors.New("sdk: bad candidates")
	// ErrExampleNotFound says that the profile has stored no example of the text.
	ErrExampleNotFound = errors.New("sdk: example not found")
	// ErrRevisionNotFound says that the revision to go back to is not kept.
	ErrRevisionNotFound = errors.New("sdk: revision not found")
	// ErrDuplicateProfile says that two requests of one call name the same profile.
	ErrDuplicateProfile = errors.New("sdk: a profile id appears more than once in the request")
	// ErrBusy says that another TrainBank of the folder is under way.
	ErrBusy = errors.New("sdk: a bank is being trained already")
	// ErrModelInUse says that a Model cannot be closed, as folders are open on it.
	ErrModelInUse = errors.New("sdk: folders are open on the model")
	// ErrNoPopulation says that the folder has no axes on which its people differ, or cannot have
	// any; or that Ask has no candidates, and the bank keeps none.
	ErrNoPopulation = errors.New("sdk: no population")
	// ErrConfig says that a Config or options are invalid; the message lists every fault.
	ErrConfig = errors.New("sdk: bad configuration")
)

var (
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

// ProfileError says whose an error of Learn, LearnMany, Observe, Predict or PredictBatch is, and of
// which example. Its text is Err's, after the number of the example: what wraps a ProfileError or
// logs it decides whether the id is said.
type ProfileError struct {
	ID      string
	Label   string // the label that Err is about; empty: none
	Example int    // the index in the call's examples of the one that Err is about; -1: none
	Err     error
}

func (e *ProfileError) Error() string {
	if e.Example < 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("example %d: %v", e.Example, e.Err)
}

func (e *ProfileError) Unwrap() error { return e.Err }

// ofProfile makes an error a profile's, unless it is one already, or the whole call's ctx ended.
func ofProfile(id string, err error) error {
	var known *ProfileError
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) ||
		errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &ProfileError{ID: id, Example: -1, Err: err}
}

// ofExample makes an error that of one of a profile's examples.
func ofExample(id string, i int, label string, err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrUnknownLabel) {
		label = ""
	}
	return &ProfileError{ID: id, Label: label, Example: i, Err: err}
}
