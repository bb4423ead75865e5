package bitmask

import "errors"

var (
	// ErrDims reports a shape that no mask can have, or two shapes that do
	// not fit each other.
	ErrDims = errors.New("bitmask: bad dimensions")
	// ErrNaN reports a logit that has no place in an order.
	ErrNaN = errors.New("bitmask: logit is NaN")
	// ErrCorrupt reports bytes that are not a mask of the stated shape.
	ErrCorrupt = errors.New("bitmask: corrupt mask")
)
