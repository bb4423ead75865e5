//go:build cgo

package sdk

import (
	"errors"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Errors that callers tell apart with errors.Is. A digest that does not fit is also a *[MismatchError].
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
	ErrNoCUDA          = torch.ErrNoCUDA
	ErrUnsupported     = model.ErrUnsupported
	ErrCheckpoint      = model.ErrCheckpoint
	ErrLearnConfig     = learner.ErrConfig

	// ErrModelMismatch: the model's folder does not hold the model that the store is bound to.
	ErrModelMismatch = errors.New("sdk: another model than the store's")
	// ErrUnknownLabel: an example has a label that the profile's head does not have.
	ErrUnknownLabel = errors.New("sdk: unknown label")
	// ErrExample: an example that cannot be learned: no text, no label, or a label and no head for it.
	ErrExample = errors.New("sdk: bad example")
	// ErrConfig: a Config, Options or LearnOptions that cannot be; the message lists every fault.
	ErrConfig = errors.New("sdk: bad configuration")
)

// MismatchError names the digest that does not fit: of an encoder, tokenizer, bank or head.
type MismatchError = store.MismatchError
