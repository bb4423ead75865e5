//go:build torch && cgo

package libtorch

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrClosed is returned by an engine after Close.
	ErrClosed = errors.New("libtorch: engine closed")
	// ErrNoCUDA is returned by Open for the device CUDA where there is none.
	ErrNoCUDA = errors.New("libtorch: no CUDA device")
)

// Error is an exception of libtorch, in one line.
type Error struct {
	Op  string // the operator that failed
	Msg string // the exception's first line
}

func (e *Error) Error() string { return fmt.Sprintf("libtorch: %s: %s", e.Op, e.Msg) }

// firstLine drops the C++ stack trace that libtorch appends.
func firstLine(msg string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(msg), "\n")
	return strings.TrimSpace(line)
}
