package store

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"

	bolt "go.etcd.io/bbolt"
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

// maxGroup is the number of calls that share one transaction and its fsync.
const maxGroup = 256

// write runs fn in a writing transaction and returns once it is durable.
// Calls that come while another transaction is being written wait and then
// share the next one.
func (s *Store) write(ctx context.Context, fn func(w *writeTx) error) error {
	return s.enqueue(&writeOp{ctx: ctx, fn: fn})
}

// writeAlone is write for a function that writes much.
func (s *Store) writeAlone(ctx context.Context, fn func(w *writeTx) error) error {
	return s.enqueue(&writeOp{ctx: ctx, fn: fn, alone: true})
}

func (s *Store) enqueue(op *writeOp) error {
	if s.opts.ReadOnly {
		return ErrReadOnly
	}
	s.queueLock.Lock()
	s.queue = append(s.queue, op)
	s.queueLock.Unlock()

	select {
	case s.writer <- struct{}{}:
	case <-op.ctx.Done():
		if s.withdraw(op) {
			return op.ctx.Err()
		}
		s.writer.Lock() // it is being run
	}
	defer s.writer.Unlock()
	for !op.done {
		s.commit(s.nextGroup())
	}
	if op.panicked != nil {
		panic(op.panicked)
	}
	return op.err
}

// withdraw takes a call off the queue, if nobody has taken it to run it.
func (s *Store) withdraw(op *writeOp) bool {
	s.queueLock.Lock()
	defer s.queueLock.Unlock()
	i := slices.Index(s.queue, op)
	if i < 0 {
		return false
	}
	s.queue = slices.Concat(s.queue[:i], s.queue[i+1:]) // groups are parts of the old one
	return true
}

// nextGroup takes the calls of one transaction off the queue.
func (s *Store) nextGroup() []*writeOp {
	s.queueLock.Lock()
	defer s.queueLock.Unlock()
	n := 0
	for n < len(s.queue) && n < maxGroup && !(s.queue[n].alone && n > 0) {
		n++
		if s.queue[0].alone {
			break
		}
	}
	group := s.queue[:n:n]
	s.queue = s.queue[n:]
	return group
}

// commit runs a group in one transaction. A call that fails is taken out, and
// the others run again without it. The caller holds s.writer.
func (s *Store) commit(group []*writeOp) {
	defer func() { // also if one of them panics, so that nobody waits for it
		for _, op := range group {
			if !op.done {
				op.done, op.err = true, errors.New("store: transaction abandoned")
			}
		}
	}()
	for {
		rest := s.liveOps(group)
		if len(rest) == 0 {
			return
		}
		s.makeRoom()
		failed, err := s.tryCommit(rest)
		if failed != nil {
			failed.done, failed.err = true, err
			continue
		}
		if err != nil && len(rest) > 1 {
			for _, op := range rest { // one of them may be why; the others are not to suffer from it
				s.commit([]*writeOp{op})
			}
			return
		}
		for _, op := range rest {
			if op.done = true; err != nil {
				op.err = err
			}
		}
		return
	}
}

// liveOps returns those not done, after ending those that come too late.
func (s *Store) liveOps(group []*writeOp) (live []*writeOp) {
	for _, op := range group {
		if op.done {
			continue
		}
		if op.err = op.ctx.Err(); op.err == nil && s.closing.Load() && !op.internal {
			op.err = ErrClosed
		}
		if op.done = op.err != nil; !op.done {
			live = append(live, op)
		}
	}
	return live
}

// tryCommit returns the call that failed, or nil and the transaction's error.
// What fails after the commit is the error of the calls that asked for it: the
// others are stored, and must not be done again.
func (s *Store) tryCommit(group []*writeOp) (failed *writeOp, err error) {
	w := &writeTx{s: s}
	err = s.writePages(func(tx *bolt.Tx) (err error) {
		tx.DB().AllocSize = growth(tx.Size())
		w.txn = s.newTxn(tx)
		w.writing = true
		if w.tally, err = readTally(tx); err != nil {
			return err
		}
		if w.sums, err = readSums(tx); err != nil {
			return err
		}
		before, sumsBefore := w.tally, w.sums
		for _, op := range group {
			failed = op // also if it ends in damaged pages
			if err := op.run(w); err != nil {
				return err
			}
		}
		failed = nil
		if _, err := tx.Bucket(bktMeta).NextSequence(); err != nil { // the revision
			return err
		}
		w.tally.commits += uint64(len(w.changes))
		if w.tally != before {
			if err := w.tally.write(tx); err != nil {
				return err
			}
		}
		if w.sums != sumsBefore {
			if err := w.sums.write(tx); err != nil {
				return err
			}
		}
		return w.writeKeys()
	})
	if err != nil {
		return failed, boltError(w.named(err))
	}
	erased := w.eraseKeys()
	s.commits.Add(1)
	s.changes.Add(uint64(len(w.changes)))
	for _, op := range group {
		if !op.internal {
			s.writes.Add(1)
		}
		if op.frees {
			op.err = erased
		}
	}
	s.index.add(w.changes)
	for _, fn := range w.onCommit {
		fn()
	}
	if s.committed != nil {
		s.committed()
	}
	return nil, nil
}
