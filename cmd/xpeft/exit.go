package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/sdk"
	"github.com/xpeft/xpeft/store"
)

// Exit codes, which docs/cli.md lists; 128 + n after signal n.
const (
	exitOK        = 0
	exitError     = 1
	exitUsage     = 2
	exitNotFound  = 3
	exitCorrupt   = 4
	exitLocked    = 5
	exitMismatch  = 6
	exitExists    = 7
	exitInput     = 8
	exitNoCUDA    = 9
	exitNoStore   = 10
	exitNewer     = 11
	exitKey       = 12
	exitForSignal = 128
)

// names of the exit codes in JSON: scripts read them more easily than numbers.
var names = map[int]string{
	exitError: "error", exitUsage: "usage", exitNotFound: "not_found", exitCorrupt: "corrupt", exitLocked: "locked",
	exitMismatch: "mismatch", exitExists: "exists", exitInput: "input", exitNoCUDA: "no_cuda", exitNoStore: "no_store",
	exitNewer: "newer", exitKey: "key",
}

// usageError is a command line that cannot be.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// inputError is a bad line of a file, or of stdin.
type inputError struct {
	name string
	line int
	err  error
}

func (e *inputError) Error() string { return fmt.Sprintf("%s:%d: %v", e.name, e.line, e.err) }
func (e *inputError) Unwrap() error { return e.err }

type noStoreError struct{ dir string }

func (e *noStoreError) Error() string {
	return fmt.Sprintf("no store in %s: make one with xpeft init, or name another folder with --dir", e.dir)
}

// exitCode is the code of the first kind that fits, the most telling first.
func exitCode(err error) int {
	var usage *usageError
	var input *inputError
	var none *noStoreError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &input):
		return exitInput
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &none):
		return exitNoStore
	}
	for _, kind := range kinds {
		if errors.Is(err, kind.err) {
			return kind.code
		}
	}
	return exitError
}

type kind struct {
	err  error
	code int
}

// kinds are in the order in which they are looked for: an error may wrap more than one.
var kinds = []kind{
	{store.ErrMismatch, exitMismatch},
	{sdk.ErrRevisionNotFound, exitNotFound},
	{sdk.ErrExampleNotFound, exitNotFound},
	{sdk.ErrUnknownLabel, exitInput},
	{model.ErrHead, exitInput},
	{sdk.ErrExample, exitInput},
	{sdk.ErrCandidates, exitInput},
	{sdk.ErrConfig, exitUsage},
	{sdk.ErrLearnConfig, exitUsage},
	{sdk.ErrUntrainable, exitUsage},
	{sdk.ErrNoCUDA, exitNoCUDA},
	{store.ErrKey, exitKey}, // may wrap the next
	{store.ErrSignature, exitKey},
	{folder.ErrEncrypted, exitKey},
	{fs.ErrNotExist, exitError}, // a model's folder without its files is not a damaged one
	{store.ErrLocked, exitLocked},
	{store.ErrSchema, exitNewer},
	{store.ErrCorrupt, exitCorrupt},
	{bank.ErrCorrupt, exitCorrupt},
	{bitmask.ErrCorrupt, exitCorrupt},
	{model.ErrCheckpoint, exitCorrupt},
	{model.ErrTokenizer, exitCorrupt},
	{store.ErrExists, exitExists},
	{fs.ErrExist, exitExists},
	{store.ErrNotFound, exitNotFound},
	{store.ErrNoBase, exitNotFound},
	{store.ErrID, exitUsage},
}

// fail prints the error as one line and returns the exit code.
func (a *app) fail(ctx context.Context, err error) int {
	code := exitCode(err)
	var sig signalError
	if errors.As(context.Cause(ctx), &sig) { // whatever the command made of it
		code, err = exitForSignal+int(sig.signal), sig
	}
	var rows *rowsError
	if errors.As(err, &rows) {
		return code // each row has said it
	}
	text := oneLine(err.Error())
	if !a.json {
		fmt.Fprintf(a.stderr, "xpeft: %s\n", plain(text))
		return code
	}
	line, _ := json.Marshal(errorRow{text, codeName(code), code}) // strings and a number
	fmt.Fprintf(a.stderr, "%s\n", line)
	return code
}

// errorRow is an error with --json.
type errorRow struct {
	Error string `json:"error"`
	Code  string `json:"code"`
	Exit  int    `json:"exit"`
}

func codeName(code int) string {
	switch code {
	case exitForSignal + int(syscall.SIGINT):
		return "interrupted"
	case exitForSignal + int(syscall.SIGTERM):
		return "terminated"
	}
	return names[code]
}

// oneLine joins the lines of an error, as errors.Join writes them.
func oneLine(s string) string {
	var parts []string
	for _, part := range strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; ")
}

// rowsError ends a command in which some rows failed, each with an error of its own in the output.
// Its exit code is that of the first.
type rowsError struct {
	failed int
	first  error
}

func (e *rowsError) Error() string { return fmt.Sprintf("%d failed, the first: %v", e.failed, e.first) }
func (e *rowsError) Unwrap() error { return e.first }

// rowErrors counts failed rows.
type rowErrors struct{ rowsError }

func (e *rowErrors) add(err error) {
	if e.failed++; e.first == nil {
		e.first = err
	}
}

// err is nil if no row failed.
func (e *rowErrors) err() error {
	if e.failed == 0 {
		return nil
	}
	return &e.rowsError
}
