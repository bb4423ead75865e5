package store

import (
	"context"
	"errors"

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

// evict erases a profile that a key of format.IDs leads to, and the key.
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
	return w.free(n)
}

// free gives a number to whoever comes next; if it had a key, only after the
// transaction: until that is committed the key is in use.
func (w *writeTx) free(n uint32) error {
	if w.keys == nil {
		w.noneFree = false
	} else {
		if w.freed == nil {
			w.freed = map[uint32]bool{}
		}
		w.freed[n] = true
	}
	return w.Bucket(format.Free).insert(format.Key(n), nil)
}
