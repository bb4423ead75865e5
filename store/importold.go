package store

import (
	"bytes"
	"cmp"
	"context"
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
		if t.Tx.Bucket(bktMerge) != nil {
			return fmt.Errorf("%w: an import of an older version was cut short; open the store for writing once",
				ErrReadOnly)
		}
		return nil
	})
}

// recoverOld ends an import that an older version was in the middle of.
func (s *Store) recoverOld() error {
	var staged, committed bool
	err := s.view(func(t *txn) error {
		staged, committed = t.Tx.Bucket(bktStaging) != nil, t.Tx.Bucket(bktMerge) != nil
		return nil
	})
	if err != nil || !staged && !committed {
		return err
	}
	s.opts.Logger.Info("ending an import of an older version that was cut short", "undone", staged)
	return s.writeAlone(context.Background(), func(w *writeTx) error {
		return cmp.Or(w.abandonOld(), w.mergeOld())
	})
}

// abandonOld erases numbers that no id has led to, and no tally counts.
func (w *writeTx) abandonOld() error {
	staging, before := w.Tx.Bucket(bktStaging), w.tally
	if staging == nil {
		return nil
	}
	for _, name := range [][]byte{bktMerge, bktIDs} {
		ids := staging.Bucket(name)
		if ids == nil {
			continue
		}
		err := ids.ForEach(func(_, v []byte) error {
			n, err := number(v)
			return cmp.Or(err, w.eraseNumber(n))
		})
		if err != nil {
			return err
		}
	}
	w.tally = before
	return w.DeleteBucket(bktStaging)
}

// mergeOld makes bktIDs lead to what the merge has, and erases what that replaces.
func (w *writeTx) mergeOld() error {
	merge := w.Tx.Bucket(bktMerge)
	if merge == nil {
		return nil
	}
	err := merge.ForEach(func(id, v []byte) error {
		put := w.putID
		if old := w.ids.Get(id); old != nil {
			put = w.Bucket(bktIDs).replace
			n, err := number(old)
			if err = cmp.Or(err, w.erase(id, n)); err != nil {
				return err
			}
		}
		w.changed++
		return put(bytes.Clone(id), bytes.Clone(v))
	})
	return cmp.Or(err, w.DeleteBucket(bktMerge))
}
