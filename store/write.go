package store

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

type writeTx struct {
	txn
	s       *Store
	tally   format.Tally
	sums    format.Sums
	sets    cohortSets      // that the transaction has read or changed
	leads   leads           // see lead
	changed uint64          // profiles that were put or deleted
	noting  uint64          // epoch of format.Changes, 0 if there is none
	noted   *roaring.Bitmap // numbers to note in it; nil: none is

	freed     map[uint32]bool // numbers, if there are keys
	noneFree  bool            // there is nothing in format.Free but those
	scattered bool            // new ids have not come in order
	lastID    []byte          // the one that came last; before, the last of all
}

// Bucket is one of format.Summed. There is no other way to write to these.
func (w *writeTx) Bucket(name []byte) bucket {
	b := bucket{readBucket: readBucket{w.Tx.Bucket(name)}, w: w, sum: w.sums.Of(name)}
	if w.noted != nil && format.OfProfiles(name) {
		b.changed = w.noted
	}
	return b
}

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

func (s *Store) writeOwned(ctx context.Context, id string, fn func(w *writeTx, n uint32) error) error {
	return s.write(ctx, func(w *writeTx) error {
		n, err := w.owned([]byte(id))
		if err != nil {
			return err
		}
		return fn(w, n)
	})
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

	if err := s.writer.lockFor(op.ctx); err != nil {
		if s.withdraw(op) {
			return err
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
		var terr, serr error
		w.tally, terr = readTally(tx)
		w.sums, serr = readSums(tx)
		w.noting, err = newestEpoch(tx)
		if err := cmp.Or(terr, serr, err, w.leadMeta()); err != nil {
			return err
		}
		if w.noting > 0 {
			w.noted = roaring.New()
		}
		before, sumsBefore := w.tally, w.sums
		for _, op := range group {
			failed = op // also if it ends in damaged pages
			if err := op.run(w); err != nil {
				return err
			}
		}
		failed = nil
		_, err = tx.Bucket(format.Meta).NextSequence() // the revision
		if err = cmp.Or(err, w.noteChanges()); err == nil && len(w.sets) > 0 {
			err = w.sets.write(w, tx.Bucket(format.Cohorts))
		}
		if err != nil {
			return err
		}
		w.tally.Commits += w.changed
		if w.tally != before {
			if err := writeTally(tx, &w.tally); err != nil {
				return err
			}
		}
		if w.sums != sumsBefore {
			if err := writeSums(tx, &w.sums); err != nil {
				return err
			}
		}
		return w.writeKeys()
	})
	if err != nil {
		return failed, boltError(w.named(err))
	}
	erased := w.keys.Erase(slices.Collect(maps.Keys(w.freed)))
	s.commits.Add(1)
	for _, op := range group {
		if !op.internal {
			s.writes.Add(1)
		}
		if op.frees {
			op.err = erased
		}
	}
	if s.committed != nil {
		s.committed()
	}
	return nil, nil
}
