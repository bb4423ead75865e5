package bank

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt marks a bank file, a properties record or an imported adapter
	// whose bytes are not what their format says.
	ErrCorrupt = errors.New("bank: corrupt")
	// ErrInvalid marks properties or arguments that no bank can have.
	ErrInvalid = errors.New("bank: invalid")
	// ErrUnsupported marks well-formed input that this version does not handle.
	// The error is an *UnsupportedError, which names the field.
	ErrUnsupported = errors.New("bank: unsupported")
	// ErrClosed is returned by a File's methods after Close.
	ErrClosed = errors.New("bank: file is closed")
)

// UnsupportedError says which field of an input has which value, and what would
// have been accepted. It wraps ErrUnsupported.
type UnsupportedError struct {
	Path  string // the file, where there is one
	Field string // as the input spells it
	Value string
	Want  string
}

func (e *UnsupportedError) Error() string {
	where := ""
	if e.Path != "" {
		where = e.Path + ": "
	}
	return fmt.Sprintf("%v: %s%s is %s, want %s", ErrUnsupported, where, e.Field, e.Value, e.Want)
}

func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
