package store

import (
	"context"
	"fmt"
)

// Delete erases a profile: record, state, examples, history and, at the next
// flush, its bits in the index. The file keeps the freed pages' bytes until
// they are written again.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := checkID(id, maxID); err != nil {
		return err
	}
	return s.write(ctx, func(w *writeTx) error {
		if err := w.settle([]byte(id)); err != nil {
			return err
		}
		v := w.ids.Get([]byte(id))
		if v == nil {
			return fmt.Errorf("%w: profile %q", ErrNotFound, id)
		}
		n, err := number(v)
		if err != nil {
			return err
		}
		if err := w.ids.Delete([]byte(id)); err != nil {
			return err
		}
		w.tally.profiles--
		return w.erase([]byte(id), n)
	})
}

// erase deletes all that is stored under a number that an id has led to. A
// record that cannot be read is erased like any other, one of another id is
// ErrCorrupt.
func (w *writeTx) erase(id []byte, n uint32) error {
	if r, err := readRefs(w.profiles.Get(key32(n))); err == nil {
		if err := r.ownedBy(id); err != nil {
			return err
		}
	}
	c := change{number: n}
	if old, err := DecodeProfile(w.profiles.Get(key32(n))); err == nil {
		c.old = maskOf(old)
	} else {
		w.s.distrustIndex()
	}
	w.changes = append(w.changes, c)
	return w.eraseNumber(n)
}

// eraseNumber deletes all that is stored under a number, and frees it.
func (w *writeTx) eraseNumber(n uint32) error {
	key := key32(n)
	record := w.profiles.Get(key)
	w.tally.recordBytes -= uint64(len(record))
	if old, err := DecodeProfile(record); err == nil {
		w.tally.maskBytes -= uint64(len(old.Mask.Bytes()))
	}
	if err := w.eraseBeside(n); err != nil {
		return err
	}
	if err := w.profiles.Delete(key); err != nil {
		return err
	}
	return w.free(key)
}

// free gives a number's key to whoever comes next.
func (w *writeTx) free(key []byte) error {
	w.noneFree = false
	return w.Bucket(bktFree).Put(key, nil)
}

func (w *writeTx) eraseBeside(n uint32) error {
	key := key32(n)
	if err := w.Bucket(bktState).Delete(key); err != nil {
		return err
	}
	if err := w.dropExamples(n); err != nil {
		return err
	}
	_, _, err := deletePrefix(w.Bucket(bktHistory), key)
	return err
}
