package store

import (
	"context"
	"errors"
	"runtime/debug"
)

// writeOp is one call's part of a transaction. Its function may run more than
// once, each time from the same state, if a neighbour fails: it must set what
// it returns, never add to it.
type writeOp struct {
	ctx   context.Context
	fn    func(w *writeTx) error
	alone bool // large: shares its transaction with no other
	// internal work goes on while Close waits for it.
	internal bool
	frees    bool // numbers, whose keys are erased after the commit
	done     bool
	err      error
	panicked any // what fn panicked with: raised again in the call's goroutine
}

// errPanicked ends a transaction one of whose calls has panicked.
var errPanicked = errors.New("store: a call of the transaction panicked")

// run runs the call's function. Another call's goroutine may be doing that, so
// a panic is kept for the one that it belongs to.
func (op *writeOp) run(w *writeTx) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
			return
		case callersPanic:
			op.panicked = v.value
		default:
			if isDamage(v) {
				err = corrupt("%w", &damage{v})
				return
			}
			op.panicked = v
			w.s.opts.Logger.Error("panic in a transaction", "stack", string(debug.Stack()))
		}
		err = errPanicked
	}()
	freed := len(w.freed)
	err = op.fn(w)
	op.frees = len(w.freed) > freed
	return err
}
