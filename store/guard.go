package store

import (
	"errors"
	"fmt"
	"reflect"
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
	v := recover()
	if c, ok := v.(callersPanic); ok {
		panic(c.value)
	}
	if v != nil {
		if !isDamage(v) {
			panic(v)
		}
		*err = corrupt("%w", &damage{v})
	}
}

// isDamage says whether a panic that is being recovered is of the file's pages.
func isDamage(v any) bool {
	if _, ok := v.(callersPanic); ok {
		return false
	}
	_, fault := v.(interface{ Addr() uintptr })
	return fault || raisedByBolt()
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

// The names that the stack has for functions of this package, and of bbolt,
// begin with these. They are taken from a function of each, not written out: a
// package that was moved, or vendored, must still know its own.
var (
	ownFrames  = packageOf((*damage).Error) + "."
	boltFrames = packageOf(bolt.Open)
)

// packageOf is the package of a function, as the stack names it.
func packageOf(fn any) string {
	name := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()
	at := strings.LastIndexByte(name, '/') + 1 // dots before are of the path
	return name[:at+strings.IndexByte(name[at:], '.')]
}

func ofBolt(function string) bool {
	rest, ok := strings.CutPrefix(function, boltFrames)
	return ok && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "/"))
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
		case raised && ofBolt(f.Function):
			return true
		case raised && strings.HasPrefix(f.Function, ownFrames), !more:
			return false
		}
	}
}

// readPages is db.View, guarded.
func (s *Store) readPages(fn func(tx *bolt.Tx) error) (err error) {
	f, err := s.enter()
	if err != nil {
		return err
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
	if s.refused != nil {
		return s.refused
	}
	f, err := s.enter()
	if err != nil {
		return err
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
