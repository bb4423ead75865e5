package safetensors

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt marks bytes that are not a valid safetensors file.
	ErrCorrupt = errors.New("safetensors: corrupt file")
	// ErrDType marks a tensor whose element type does not suit the conversion asked for.
	ErrDType = errors.New("safetensors: unsuitable dtype")
)

func corruptf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}
