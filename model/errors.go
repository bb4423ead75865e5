package model

import (
	"errors"
	"fmt"
)

var (
	// ErrUnsupported marks a well-formed model that this package cannot run: the message names what
	// was found.
	ErrUnsupported = errors.New("model: unsupported")
	// ErrCheckpoint marks a config.json, pooling or weights file that is damaged, or that does not
	// fit the others.
	ErrCheckpoint = errors.New("model: bad checkpoint")
	// ErrTokenizer marks damaged tokenizer files.
	ErrTokenizer = errors.New("model: bad tokenizer")
)

func unsupportedf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

func checkpointf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCheckpoint, fmt.Sprintf(format, args...))
}

func tokenizerf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTokenizer, fmt.Sprintf(format, args...))
}
