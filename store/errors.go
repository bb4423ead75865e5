package store

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

var (
	// ErrNotFound says that no profile, bank, head or value has that name.
	ErrNotFound = errors.New("store: not found")
	// ErrExists says that the file, or a profile of that id, is already there.
	ErrExists = errors.New("store: already exists")
	// ErrLocked says that another process, or another Store, has the file open.
	ErrLocked = errors.New("store: locked by another process")
	// ErrCorrupt says that bytes of the file or of a bundle are not what was
	// written; the error that wraps it names what and where.
	ErrCorrupt = format.ErrCorrupt
	// ErrClosed is returned by every method after Close.
	ErrClosed = errors.New("store: closed")
	// ErrReadOnly is returned by writes to a store opened with ReadOnly, and by
	// Open without it for a file that cannot be written.
	ErrReadOnly = errors.New("store: read-only")
	// ErrFull says that there was no room for a write: the disk, a quota or a limit on the size of
	// files is used up. Nothing of it is stored; what was there can be read, and written once there
	// is room.
	ErrFull = errors.New("store: no room on the disk")
	// ErrKey says that a store is encrypted and the master key is missing or
	// not its own, or that its file of keys is missing or another's.
	ErrKey = keyring.ErrKey
	// ErrNoBase says that the store does not remember a backup of that revision,
	// for another to build on: make a full one.
	ErrNoBase = errors.New("store: no such backup to build on: make a full one")
	// ErrConflict says that the profile is not at the revision that the
	// caller's Write.IfRevision names.
	ErrConflict = errors.New("store: revision conflict")
	// ErrSchema says that a newer version of this package wrote the file or
	// bundle.
	ErrSchema = format.ErrSchema
	// ErrMismatch is wrapped by every MismatchError.
	ErrMismatch = errors.New("store: made for something else")
	// ErrSignature says that a bundle's signature is not that of its bytes, or
	// that the bundle is unsigned, or signed by another key, where that is
	// refused.
	ErrSignature = bundle.ErrSignature
	// ErrID says that an id is empty, too long or not UTF-8.
	ErrID = format.ErrID
	// ErrLimit says that a value or bundle is over a documented limit.
	ErrLimit = format.ErrLimit
)

// MismatchError says that data was made for another encoder, tokenizer, bank
// or head than the store's. It wraps [ErrMismatch].
type MismatchError struct {
	What string // "encoder", "tokenizer", "bank", "head" or "backup"
	Have Digest // the store's; zero if the store has none
	Want Digest // the one that the data needs
}

func (e *MismatchError) Error() string {
	if e.Have == (Digest{}) {
		return fmt.Sprintf("store: %s %s is not in this store", e.What, e.Want.Short())
	}
	return fmt.Sprintf("store: %s is %s, but the data needs %s", e.What, e.Have.Short(), e.Want.Short())
}

func (e *MismatchError) Unwrap() error { return ErrMismatch }

// corrupt returns an error that wraps ErrCorrupt and says what was wrong.
func corrupt(text string, args ...any) error {
	return format.Corrupt(text, args...)
}

// boltError replaces the errors of bbolt that a caller can do something about
// by ours.
func boltError(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, bolterrors.ErrDatabaseReadOnly), errors.Is(err, bolterrors.ErrTxNotWritable):
		return ErrReadOnly
	case isFull(err):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// isFull says whether the system had no room for a write.
func isFull(err error) bool {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, full) || err != nil && strings.HasSuffix(err.Error(), full.Error()) {
			return true // bbolt makes a text of what it gets when the file grows
		}
	}
	return false
}
