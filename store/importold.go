package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
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

// recoverOld erases what was staged, and completes what was committed.
func (s *Store) recoverOld() error {
	var staged, committed bool
	err := s.view(func(t *txn) error {
		staged, committed = t.Bucket(bktStaging) != nil, t.Bucket(bktMerge) != nil
		return nil
	})
	if err == nil && staged {
		s.opts.Logger.Info("undoing an import of an older version that was cut short")
		err = s.repeat(s.abandonOld)
	}
	if err == nil && committed {
		s.opts.Logger.Info("completing an import of an older version that was cut short")
		err = s.repeat(s.mergeOld)
	}
	return err
}

// repeat runs steps, each in a transaction of its own, to the last one.
func (s *Store) repeat(step func(w *writeTx) (more bool, err error)) error {
	for more := true; more; {
		err := s.writeAlone(context.Background(), func(w *writeTx) (err error) {
			more, err = step(w)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) abandonOld(w *writeTx) (more bool, err error) {
	staging := w.Tx.Bucket(bktStaging)
	for _, name := range [][]byte{bktMerge, bktIDs} {
		ids := staging.Bucket(name)
		if ids == nil {
			continue
		}
		for _, id := range firstKeys(ids, s.batch) {
			if err := errors.Join(w.eraseStaged(ids.Get(id)), ids.Delete(id)); err != nil {
				return false, err
			}
		}
		if !isEmpty(ids) {
			return true, nil
		}
	}
	return false, w.DeleteBucket(bktStaging)
}

// eraseStaged erases a number that no id has led to, and frees it.
func (w *writeTx) eraseStaged(value []byte) error {
	n, err := number(value)
	if err != nil {
		return err
	}
	key := key32(n)
	if _, err := w.Bucket(bktExamples).removePrefix(key); err != nil {
		return err
	}
	_, err = w.eraseRecord(n)
	return errors.Join(err,
		w.Bucket(bktState).discard(key),
		w.Bucket(bktPeople).discard(key),
		w.Bucket(bktWaiting).discard(key),
	)
}

func (s *Store) mergeOld(w *writeTx) (more bool, err error) {
	merge := w.Tx.Bucket(bktMerge)
	for _, id := range firstKeys(merge, s.batch) {
		if err := w.settleOld(merge, id); err != nil {
			return false, err
		}
	}
	if !isEmpty(merge) {
		return true, nil
	}
	return false, w.DeleteBucket(bktMerge)
}

// settleOld makes bktIDs lead to what the merge has for a key, and erases what
// it led to before.
func (w *writeTx) settleOld(merge *bolt.Bucket, id []byte) error {
	v := bytes.Clone(merge.Get(id))
	put := w.putID
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
	return errors.Join(put(id, v), merge.Delete(id))
}
