// Package format has what every byte format of the store shares.
package format

import (
	"errors"
	"fmt"
)

// ErrCorrupt is store.ErrCorrupt.
var ErrCorrupt = errors.New("store: corrupt")

// Corrupt returns an error that wraps ErrCorrupt and says what was wrong.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}
