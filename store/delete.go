package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Delete erases a profile: record, state, examples, history and its place in
// cohorts. An import that is being merged does not bring it back. The file keeps
// the freed pages' bytes until they are written again, or until Compact. With
// encryption the profile's key is overwritten before Delete returns.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := format.CheckID(id, maxID); err != nil {
		return err
	}
	return s.write(ctx, func(w *writeTx) error {
		n, err := w.number([]byte(id))
		if err != nil {
			return err
		}
		key := w.idKey([]byte(id))
		return errors.Join(w.evict(key, n), w.keepOut(key))
	})
}

func (w *writeTx) evict(idKey []byte, n uint32) error {
	w.tally.Profiles--
	return errors.Join(w.Bucket(format.IDs).remove(idKey), w.erase(idKey, n))
}

// erase deletes all that is stored under a number that a key of format.IDs has led
// to. A record that cannot be read is erased like any other, one of another id
// is ErrCorrupt.
func (w *writeTx) erase(idKey []byte, n uint32) error {
	if r, err := w.refs(n); err == nil {
		if err := w.ownedBy(r.ID, idKey); err != nil {
			return err
		}
	}
	w.changed++
	return w.eraseNumber(n)
}

// eraseNumber deletes all that is stored under a number, and frees it.
func (w *writeTx) eraseNumber(n uint32) error {
	key := format.Key(n)
	_, err := w.Bucket(format.History).removePrefix(key)
	examples, xerr := w.Bucket(format.Examples).removePrefix(key)
	w.tally.Examples -= examples
	err = errors.Join(err, xerr, w.Bucket(format.State).discard(key), w.Bucket(format.People).discard(key),
		w.Bucket(format.Waiting).discard(key))
	if err != nil {
		return err
	}
	w.tally.RecordBytes -= uint64(len(w.profiles.Get(key)))
	old, unread := w.decode(n)
	if err := w.Bucket(format.Profiles).remove(key); err != nil {
		return err
	}
	if unread == nil {
		w.tally.MaskBytes -= uint64(old.MaskBytes())
		err = w.regroup(n, old, nil)
	} else {
		err = w.leaveAll(n)
	}
	if err != nil {
		return err
	}
	// The number is for whoever comes next; if it had a key, only after the
	// transaction: until that is committed the key is in use.
	if w.keys == nil {
		w.noneFree = false
	} else {
		if w.freed == nil {
			w.freed = map[uint32]bool{}
		}
		w.freed[n] = true
	}
	return w.Bucket(format.Free).insert(key, nil)
}

// ForgetExample erases the examples of one text from a profile, with all that
// was learned from them but the revision that is served: its state and its
// history. The profile is due and is learned anew: Person.Anew. It returns how
// many examples there were, and is ErrNotFound if there was none. With encryption all
// that stays of the profile gets a new key, and the old one is overwritten
// before it returns.
func (s *Store) ForgetExample(ctx context.Context, id string, key uint64) (forgotten int, err error) {
	err = s.writeOwned(ctx, id, func(w *writeTx, n uint32) error {
		forgotten = 0
		sh, err := w.shelf(n)
		if err != nil {
			return err
		}
		sh.keep(slices.DeleteFunc(sh.all(), func(e Example) bool {
			if e.Key == key {
				forgotten++
			}
			return e.Key == key
		}))
		if forgotten == 0 {
			return fmt.Errorf("%w: no example of that text", ErrNotFound)
		}
		sh.person.Anew = true
		if err := cmp.Or(w.putState(n, nil), w.putShelf(n, sh)); err != nil {
			return err
		}
		_, err = w.dropHistory(id, n)
		return err
	})
	return forgotten, err
}

// rekey moves a profile without history to a new number, which it returns, and
// which has a new key; the old one is freed.
func (w *writeTx) rekey(idKey []byte, n uint32) (uint32, error) {
	p, err := w.decode(n)
	if err != nil {
		return 0, err
	}
	sh, err := w.shelf(n)
	if err != nil {
		return 0, err
	}
	state, err := w.state(n)
	if err != nil {
		return 0, err
	}
	if err := w.evict(idKey, n); err != nil {
		return 0, err
	}
	moved := *p
	if moved.Number, err = w.newNumber(); err != nil {
		return 0, err
	}
	sh.stored = nil
	return moved.Number, cmp.Or(w.store(&moved, nil), w.putState(moved.Number, state), w.putShelf(moved.Number, sh))
}

// Expire erases the examples over Options.MaxAge of all profiles whose id
// starts with prefix, each profile in a transaction of its own, and returns
// their number.
func (s *Store) Expire(ctx context.Context, prefix string) (erased int, err error) {
	if s.opts.MaxAge == 0 {
		return 0, nil
	}
	for p, err := range s.Profiles(prefix) {
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return erased, err
		}
		n, err := s.expire(ctx, p.ID)
		if err != nil {
			return erased, fmt.Errorf("profile %q: %w", p.ID, err)
		}
		erased += n
	}
	return erased, nil
}

func (s *Store) expire(ctx context.Context, id string) (erased int, err error) {
	old, err := viewedOf(s, id, func(t *txn, n uint32) (old bool, err error) {
		for e, err := range t.eachExample(n) {
			if err != nil {
				return false, err
			}
			old = old || s.opts.expired(e.Example)
		}
		return old, nil
	})
	if err != nil || !old {
		return 0, err
	}
	err = s.writeOwned(ctx, id, func(w *writeTx, n uint32) error {
		before := w.tally.Examples
		sh, err := w.shelf(n)
		if err == nil {
			err = w.putShelf(n, sh)
		}
		erased = int(before - w.tally.Examples)
		return err
	})
	return erased, err
}
