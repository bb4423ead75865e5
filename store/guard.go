package store

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// bbolt reads its pages where the file is mapped and checks little: a damaged
// one makes it panic, or touch memory that is not there, which ends a Go
// process unless debug.SetPanicOnFault is on. So bbolt is called here and
// nowhere else. Its own goroutines, of Tx.Check and of files without a list of
// free pages, would be out of reach; this package uses neither.

// damage is what bbolt or a read of the mapped file ended with.
type damage struct{ cause any }

func (d *damage) Error() string { return fmt.Sprintf("the file's pages are damaged: %v", d.cause) }

// callersPanic is a panic of code that is not this package's.
type callersPanic struct{ value any }

// guarded calls fn, and turns faults of the mapped file and panics of bbolt
// into ErrCorrupt. Every other panic goes on.
func guarded(fn func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(before)
		switch v := recover().(type) {
		case nil:
		case callersPanic:
			panic(v.value)
		default:
			if _, fault := v.(interface{ Addr() uintptr }); !fault && !raisedByBolt() {
				panic(v)
			}
			err = corrupt("%w", &damage{v})
		}
	}()
	return fn()
}

// callersCode calls code that is not this package's within a transaction. Its
// panics are not the file's.
func callersCode(fn func()) {
	defer func() {
		if v := recover(); v != nil {
			panic(callersPanic{v})
		}
	}()
	fn()
}

// raisedByBolt says whether bbolt is nearer than this package to the place of
// the panic that is being recovered.
func raisedByBolt() bool {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	raised := false
	for {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			raised = true
		case raised && strings.HasPrefix(f.Function, "go.etcd.io/bbolt"):
			return true
		case raised && strings.Contains(f.Function, "xpeft/store."), !more:
			return false
		}
	}
}

// readPages is db.View, guarded.
func (s *Store) readPages(fn func(tx *bolt.Tx) error) error {
	return s.transact(s.db.View, fn)
}

// writePages is db.Update, guarded. After ErrCorrupt nothing of it is written.
func (s *Store) writePages(fn func(tx *bolt.Tx) error) error {
	return s.transact(s.db.Update, fn)
}

func (s *Store) transact(run func(func(*bolt.Tx) error) error, fn func(tx *bolt.Tx) error) error {
	if stuck := s.stuck.Load(); stuck != nil {
		return *stuck
	}
	var tx *bolt.Tx
	err := guarded(func() error {
		return run(func(t *bolt.Tx) error {
			tx = t
			return fn(t)
		})
	})
	if err == nil {
		return nil
	}
	if d := (*damage)(nil); errors.As(err, &d) && (tx == nil || tx.DB() != nil) {
		// bbolt did not come to the end of it and holds its locks for ever:
		// the next call would wait for them.
		s.stuck.Store(&err)
	}
	return err
}
