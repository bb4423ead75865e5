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
	defer recovered(debug.SetPanicOnFault(true), &err)
	return fn()
}

// recovered is the end of what is guarded; before is what SetPanicOnFault was.
func recovered(before bool, err *error) {
	debug.SetPanicOnFault(before)
	switch v := recover().(type) {
	case nil:
	case callersPanic:
		panic(v.value)
	default:
		if _, fault := v.(interface{ Addr() uintptr }); !fault && !raisedByBolt() {
			panic(v)
		}
		*err = corrupt("%w", &damage{v})
	}
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
func (s *Store) readPages(fn func(tx *bolt.Tx) error) (err error) {
	if stuck := s.stuck.Load(); stuck != nil {
		return *stuck
	}
	f := s.enter()
	if f == nil {
		return ErrClosed
	}
	defer s.leave(f)
	var tx *bolt.Tx
	defer s.ended(&tx, &err)
	defer recovered(debug.SetPanicOnFault(true), &err)
	if tx, err = f.Begin(false); err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(tx)
}

// writePages is db.Update, guarded. After ErrCorrupt nothing of it is written.
// The caller holds s.writer, or is Open.
func (s *Store) writePages(fn func(tx *bolt.Tx) error) (err error) {
	if stuck := s.stuck.Load(); stuck != nil {
		return *stuck
	}
	if s.nameless != nil {
		return s.nameless
	}
	f := s.enter()
	if f == nil {
		return ErrClosed
	}
	defer s.leave(f)
	var tx *bolt.Tx
	defer s.ended(&tx, &err)
	defer recovered(debug.SetPanicOnFault(true), &err)
	return f.Update(func(t *bolt.Tx) error {
		tx = t
		return fn(t)
	})
}

// ended looks whether bbolt came to the end of a transaction. If a fault kept
// it from that it holds its locks for ever, and the next call would wait for
// them.
func (s *Store) ended(tx **bolt.Tx, err *error) {
	if d := (*damage)(nil); *err == nil || !errors.As(*err, &d) {
		return
	}
	if *tx == nil || (*tx).DB() != nil {
		stuck := *err
		s.stuck.Store(&stuck)
	}
}
