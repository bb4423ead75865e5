package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// Up to schema 6 an import staged its profiles in the store's own file, under
// numbers that ids in buckets within bktStaging led to, and committed by moving
// the ids to bktMerge, which went before bktIDs until all were merged. Here is what
// finishes such an import when a file is opened.
var (
	bktStaging = []byte("staging")
	bktMerge   = []byte("merge")
)

// refuseOld refuses to read a file that such an import has committed, but not
// merged: without the rest it is neither the old state nor the new one.
func (s *Store) refuseOld() error {
	return s.view(func(t *txn) error {
		if t.Bucket(bktMerge) != nil {
			return fmt.Errorf("%w: an import of an older version was cut short; open the store for writing once", ErrReadOnly)
		}
		return nil
	})
}

// recoverOld erases what was staged, and completes what was committed, some
// profiles in a transaction.
func (s *Store) recoverOld() error {
	said := [2]bool{}
	for {
		var staged, committed bool
		err := s.view(func(t *txn) error {
			staged, committed = t.Bucket(bktStaging) != nil, t.Bucket(bktMerge) != nil
			return nil
		})
		if err != nil || !staged && !committed {
			return err
		}
		if now := [2]bool{staged, committed}; now != said { // once each, not for each transaction
			said = now
			s.opts.Logger.Info("ending an import of an older version that was cut short", "undone", staged)
		}
		err = s.writeAlone(context.Background(), func(w *writeTx) error {
			if staged {
				return w.abandonOld()
			}
			return w.mergeOld()
		})
		if err != nil {
			return err
		}
	}
}

// abandonOld erases numbers that no id has led to, and no tally counts.
func (w *writeTx) abandonOld() error {
	staging, before := w.Tx.Bucket(bktStaging), w.tally
	for _, name := range [][]byte{bktMerge, bktIDs} {
		ids := staging.Bucket(name)
		if ids == nil {
			continue
		}
		some := firstKeys(ids, w.s.batch)
		for _, id := range some {
			n, err := number(ids.Get(id))
			if err == nil {
				err = errors.Join(w.eraseNumber(n), ids.Delete(id))
			}
			if err != nil {
				return err
			}
		}
		if w.tally = before; len(some) > 0 {
			return nil
		}
	}
	return w.DeleteBucket(bktStaging)
}

// mergeOld makes bktIDs lead to what the merge has, and erases what that replaces.
func (w *writeTx) mergeOld() error {
	merge := w.Tx.Bucket(bktMerge)
	some := firstKeys(merge, w.s.batch)
	for _, id := range some {
		v, put := bytes.Clone(merge.Get(id)), w.putID
		if old := w.ids.Get(id); old != nil {
			put = w.Bucket(bktIDs).replace
			replaced, err := number(old)
			if err == nil {
				err = w.erase(id, replaced)
			}
			if err != nil {
				return err
			}
		}
		w.changed++
		if err := errors.Join(put(id, v), merge.Delete(id)); err != nil {
			return err
		}
	}
	if len(some) > 0 {
		return nil
	}
	return w.DeleteBucket(bktMerge)
}
