// Package format has what every byte format of the store shares: seals, fields, and their errors.
// docs/format.md describes the formats.
package format

import (
	"errors"
	"fmt"
)

// The store has these under the same names, and says what they mean.
var (
	ErrCorrupt = errors.New("store: corrupt")
	ErrLimit   = errors.New("store: over a limit")
	ErrSchema  = errors.New("store: written by a newer version")
)

// Corrupt returns an error that wraps ErrCorrupt and says what was wrong.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}
