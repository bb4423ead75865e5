package store

import (
	"bytes"
	"cmp"
	"context"

	"github.com/xpeft/xpeft/store/internal/format"
)

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

// putBeside writes what o has beside a record.
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
