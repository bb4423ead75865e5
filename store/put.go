package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Put stores p as the next revision of its id, and what w says beside it, in
// one transaction, and returns the revision. Of p it does not read Number,
// Revision and Updated; Created only of a new id.
func (s *Store) Put(ctx context.Context, p *Profile, w Write) (revision uint64, err error) {
	if err := cmp.Or(s.checkPut(p), s.checkExamples(w.Append)); err != nil {
		return 0, err
	}
	err = s.write(ctx, func(tx *writeTx) (err error) {
		revision, err = tx.put(p, w)
		return err
	})
	if err != nil {
		return 0, err
	}
	return revision, nil
}

// PutBatch is Put of many profiles in one transaction: all or none. To load
// very many, call it with some thousands at a time; a transaction is held in
// memory.
func (s *Store) PutBatch(ctx context.Context, ps []*Profile) error {
	for _, p := range ps {
		if err := s.checkPut(p); err != nil {
			return err
		}
	}
	return s.writeAlone(ctx, func(tx *writeTx) error {
		for _, p := range ps {
			if _, err := tx.put(p, Write{}); err != nil {
				return fmt.Errorf("profile %q: %w", p.ID, err)
			}
		}
		return nil
	})
}

func (s *Store) checkPut(p *Profile) error {
	return cmp.Or(format.CheckID(p.ID, s.opts.MaxID), p.record().Check())
}

func (w *writeTx) put(p *Profile, o Write) (uint64, error) {
	var old *Profile // nil if the id is new
	var err error
	if key := w.idKey([]byte(p.ID)); w.ids.Get(key) != nil {
		if old, err = w.ledTo(key); err != nil {
			return 0, err
		}
	}
	if err := cmp.Or(checkRevision(old, o.IfRevision), w.checkRefs(p)); err != nil {
		return 0, err
	}
	next, err := w.nextOf(p, old)
	if err != nil {
		return 0, err
	}
	if err := cmp.Or(w.keepHistory(old), w.store(next, old)); err != nil {
		return 0, err
	}
	if o.DropHistory && old != nil {
		if next.Number, err = w.dropHistory(p.ID, next.Number); err != nil {
			return 0, err
		}
	}
	return next.Revision, w.putBeside(next.Number, o)
}

func checkRevision(old *Profile, want *uint64) error {
	if want == nil {
		return nil
	}
	have := uint64(0)
	if old != nil {
		have = old.Revision
	}
	if have != *want {
		return fmt.Errorf("%w: profile is at revision %d, not %d", ErrConflict, have, *want)
	}
	return nil
}

func (t *txn) checkRefs(p *Profile) error {
	if err := p.overBanks(t.bank); err != nil {
		return err
	}
	if p.Head != 0 && t.Bucket(format.Heads).Get(format.Key(p.Head)) == nil {
		return fmt.Errorf("%w: head %d", ErrNotFound, p.Head)
	}
	return nil
}

// nextOf returns p as it is to be stored after old.
func (w *writeTx) nextOf(p, old *Profile) (*Profile, error) {
	next := *p
	next.Updated = time.Now()
	if old != nil {
		next.Number, next.Revision, next.Created = old.Number, old.Revision+1, old.Created
		return &next, nil
	}
	next.Revision = 1
	if next.Created.IsZero() {
		next.Created = next.Updated
	}
	var err error
	next.Number, err = w.newNumber()
	return &next, err
}

// newNumber gives out the lowest number that an earlier transaction freed, or the next one.
func (w *writeTx) newNumber() (uint32, error) {
	if !w.noneFree {
		free := w.Bucket(format.Free)
		for k := range free.all() {
			n, err := format.Number(k)
			if err != nil {
				return 0, err
			}
			if n != 0 && !w.freed[n] {
				return n, cmp.Or(free.remove(format.Key(n)), w.giveKey(n))
			}
		}
		w.noneFree = true
	}
	if w.tally.NextNumber > math.MaxUint32 {
		return 0, fmt.Errorf("%w: %d profiles", ErrLimit, w.tally.Profiles)
	}
	n := uint32(w.tally.NextNumber)
	w.tally.NextNumber++
	return n, w.giveKey(n)
}

func (w *writeTx) store(p, old *Profile) error {
	record, err := EncodeProfile(p)
	if err != nil {
		return err
	}
	replaced := len(w.profiles.Get(format.Key(p.Number)))
	size, err := w.putValue(p.Number, record, old == nil)
	if err != nil {
		return err
	}
	if old == nil {
		if err := w.putID(w.idKey([]byte(p.ID)), format.Key(p.Number)); err != nil {
			return err
		}
		w.tally.Profiles++
	} else {
		w.tally.MaskBytes -= uint64(old.MaskBytes())
	}
	w.tally.RecordBytes += uint64(size - replaced)
	w.tally.MaskBytes += uint64(p.MaskBytes())
	w.changed++
	return w.regroup(p.Number, old, p)
}

// putID makes a new id lead to a number. While the keys of ids of a transaction
// come in order its pages are left as full as those of numbers.
func (w *writeTx) putID(idKey, n []byte) error {
	if w.lastID == nil {
		last, _ := w.ids.Cursor().Last()
		w.lastID = bytes.Clone(last)
	}
	w.scattered = w.scattered || bytes.Compare(idKey, w.lastID) < 0
	w.lastID = idKey
	fill := orderedFill
	if w.scattered {
		fill = bolt.DefaultFillPercent
	}
	return w.Bucket(format.IDs).fill(fill).insert(idKey, n)
}

// putValue writes a record under a number, which may be new, and returns its
// size there.
func (w *writeTx) putValue(n uint32, record []byte, isNew bool) (int, error) {
	value, err := w.sealed(format.TagRecord, n, format.Key(n), record)
	if err != nil {
		return 0, err
	}
	profiles := w.Bucket(format.Profiles).fill(orderedFill)
	if isNew {
		return len(value), profiles.insert(format.Key(n), value)
	}
	return len(value), profiles.put(format.Key(n), value)
}

// Beside stores what w says beside a profile's record, and no new revision.
func (s *Store) Beside(ctx context.Context, id string, o Write) error {
	if err := s.checkExamples(o.Append); err != nil {
		return err
	}
	return s.writeOwned(ctx, id, func(w *writeTx, n uint32) error {
		if o.IfRevision != nil {
			now, err := w.decode(n)
			if err = cmp.Or(err, checkRevision(now, o.IfRevision)); err != nil {
				return err
			}
		}
		return w.putBeside(n, o)
	})
}

func (w *writeTx) putBeside(n uint32, o Write) error {
	for key, change := range o.Values {
		if err := w.changeValue(key, change); err != nil {
			return err
		}
	}
	if o.DropState || o.State != nil {
		if err := w.putState(n, o.State); err != nil {
			return err
		}
	}
	if len(o.Append) == 0 && !o.DropExamples && o.Learned == 0 && o.Person == nil {
		return nil
	}
	sh, err := w.shelf(n)
	if err != nil {
		return err
	}
	if o.Learned > sh.person.learned {
		sh.person.learned = min(o.Learned, sh.person.next)
	}
	if o.DropExamples {
		sh.keep(nil)
		sh.person.learned = sh.person.next
	}
	for _, e := range o.Append {
		sh.add(e)
	}
	if o.Person != nil {
		o.Person(&sh.person)
	}
	return w.putShelf(n, sh)
}

func (w *writeTx) putState(n uint32, state []byte) error {
	key := format.Key(n)
	if len(state) == 0 {
		return w.Bucket(format.State).discard(key)
	}
	value, err := w.sealed(format.TagState, n, key, bytes.Clone(state))
	if err != nil {
		return err
	}
	return w.Bucket(format.State).put(key, value)
}

// keepHistory moves old's record to the history and drops what is over
// Options.History.
func (w *writeTx) keepHistory(old *Profile) error {
	if old == nil {
		return nil
	}
	history, key := w.Bucket(format.History), format.Key(old.Number)
	if w.s.opts.History > 0 {
		record, err := w.record(old.Number)
		if err != nil {
			return err
		}
		at := format.KeyAt(old.Number, old.Revision)
		value, err := w.sealed(format.TagHistory, old.Number, at, bytes.Clone(record))
		if err != nil {
			return err
		}
		if err := history.insert(at, value); err != nil {
			return err
		}
	}
	kept := history.prefixed(key)
	return history.removeAll(kept[:max(0, len(kept)-w.s.opts.History)])
}

// dropHistory erases the earlier revisions under a number, and returns the
// number that the profile has now.
func (w *writeTx) dropHistory(id string, n uint32) (uint32, error) {
	if _, err := w.Bucket(format.History).removePrefix(format.Key(n)); err != nil || w.keys == nil {
		return n, err
	}
	return w.rekey(w.idKey([]byte(id)), n)
}
