package format

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// The store has these under the same names, and says what they mean.
var (
	ErrCorrupt = errors.New("store: corrupt")
	ErrLimit   = errors.New("store: over a limit")
	ErrSchema  = errors.New("store: written by a newer version")
	ErrID      = errors.New("store: bad profile id")
)

// Corrupt returns an error that wraps ErrCorrupt and says what was wrong.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorrupt, fmt.Errorf(format, args...))
}

// MaxID is the size limit of an id, which no option can raise.
const MaxID = 4096

// CheckID says whether an id is UTF-8 of 1 to limit bytes.
func CheckID(id string, limit int) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: empty", ErrID)
	case len(id) > limit:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrID, len(id), limit)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: %q is not UTF-8", ErrID, id)
	}
	return nil
}
