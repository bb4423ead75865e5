package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/keyring"

	"github.com/xpeft/xpeft/store/internal/format"
)

// txn is a transaction, reading or writing. Nothing that it returns as a view
// outlives it.
type txn struct {
	*bolt.Tx
	ids, profiles readBucket

	keys       *keyring.Ring // nil: nothing is encrypted
	epoch      uint64        // of keys, before the transaction began
	writing    bool
	fresh      map[uint32]freshKey // not in keys yet
	lastNumber uint32              // whose cipher lastAEAD is
	lastAEAD   cipher.AEAD

	reading []byte // what an error of damaged pages names: the id asked for last, or a bucket
}

func (s *Store) newTxn(tx *bolt.Tx) txn {
	t := txn{Tx: tx, keys: s.keys}
	t.ids, t.profiles = t.Bucket(bktIDs), t.Bucket(bktProfiles)
	return t
}

func (t *txn) Bucket(name []byte) readBucket { return readBucket{t.Tx.Bucket(name)} }

// named adds to an error of damaged pages what was being read.
func (t *txn) named(err error) error {
	if d := (*damage)(nil); len(t.reading) > 0 && errors.As(err, &d) {
		return fmt.Errorf("reading %q: %w", t.reading, err)
	}
	return err
}

func (t *txn) number(id []byte) (uint32, error) {
	t.reading = id
	key := t.idKey(id)
	v := t.ids.Get(key)
	if v == nil {
		return 0, fmt.Errorf("%w: profile %q", ErrNotFound, id)
	}
	return number(v)
}

// owned is number, once the record under it is known to be id's: nothing seals
// the number beside an id, and what lies beside the record is another's if it
// is damaged.
func (t *txn) owned(id []byte) (uint32, error) {
	n, err := t.number(id)
	if err != nil {
		return 0, err
	}
	r, err := t.refs(n)
	if err != nil {
		return 0, fmt.Errorf("profile %q: %w", id, err)
	}
	return n, t.ownedBy(r.ID, t.idKey(id))
}

func (t *txn) refs(n uint32) (format.Refs, error) {
	b, err := t.record(n)
	if err != nil {
		return format.Refs{}, err
	}
	return format.ReadRefs(b)
}

// ownedBy is ErrCorrupt unless it is a record's id that leads to it.
func (t *txn) ownedBy(id, key []byte) error {
	if !bytes.Equal(t.idKey(id), key) {
		return corrupt("profile %q has the record of %q", key, id)
	}
	return nil
}

func (t *txn) profile(id []byte) (*Profile, error) {
	n, err := t.number(id)
	if err != nil {
		return nil, err
	}
	p, err := t.decode(n)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", id, err)
	}
	if p.ID != string(id) {
		return nil, corrupt("profile %q has the record of %q", id, p.ID)
	}
	return p, nil
}

// numbered decodes the record under a number and checks that it is the one
// that a key of bktIDs leads to.
func (t *txn) numbered(key []byte, n uint32) (*Profile, error) {
	p, err := t.decode(n)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", key, err)
	}
	if err := t.ownedBy([]byte(p.ID), key); err != nil {
		return nil, err
	}
	return p, nil
}

func putKey(key *[4]byte, n uint32) []byte {
	binary.BigEndian.PutUint32(key[:], n)
	return key[:]
}

type writeTx struct {
	txn
	s       *Store
	tally   tally
	sums    sums
	sets    cohortSets      // that the transaction has read or changed
	changed uint64          // profiles that were put or deleted
	noting  uint64          // epoch of bktChanges, 0 if there is none
	noted   *roaring.Bitmap // numbers to note in it; nil: none is

	freed     map[uint32]bool // numbers, if there are keys
	noneFree  bool            // there is nothing in bktFree but those
	scattered bool            // new ids have not come in order
	lastID    []byte          // the one that came last; before, the last of all
}

// Bucket is one of summed. There is no other way to write to these.
func (w *writeTx) Bucket(name []byte) bucket {
	b := bucket{readBucket{w.Tx.Bucket(name)}, w.sums.of(name), nil}
	if w.noted != nil && ofProfiles(name) {
		b.changed = w.noted
	}
	return b
}

// maxGroup is the number of calls that share one transaction and its fsync.
const maxGroup = 256

// write runs fn in a writing transaction and returns once it is durable.
// Calls that come while another transaction is being written wait and then
// share the next one.
func (s *Store) write(ctx context.Context, fn func(w *writeTx) error) error {
	return s.enqueue(&writeOp{ctx: ctx, fn: fn})
}

// writeOwned is write with the number of a profile.
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
		var terr, serr error
		w.tally, terr = readTally(tx)
		w.sums, serr = readSums(tx)
		w.noting, err = newestEpoch(tx)
		if err := cmp.Or(terr, serr, err); err != nil {
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
		_, err = tx.Bucket(bktMeta).NextSequence() // the revision
		if err = cmp.Or(err, w.noteChanges()); err == nil && len(w.sets) > 0 {
			err = w.sets.write(tx.Bucket(bktCohorts))
		}
		if err != nil {
			return err
		}
		w.tally.commits += w.changed
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
