package sdk

import (
	"context"
	"errors"
	"fmt"
)

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
