package store

import (
	"bytes"
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"
)

// mergeImport moves the ids of a committed import to bktIDs.
func (s *Store) mergeImport() error {
	return s.repeat(func(w *writeTx) (more bool, err error) {
		if w.merge == nil {
			return false, nil
		}
		for _, id := range firstKeys(w.merge, s.batch) {
			if err := w.settle(id); err != nil {
				return false, err
			}
		}
		if !isEmpty(w.merge) {
			return true, nil
		}
		w.merge = nil
		return false, w.DeleteBucket(bktMerge)
	})
}

// settle makes bktIDs lead to what bktMerge has for the key of an id, if it
// has, and erases what it led to before.
func (w *writeTx) settle(id []byte) error {
	if w.merge == nil {
		return nil
	}
	v := bytes.Clone(w.merge.Get(id))
	if v == nil {
		return nil
	}
	if _, err := number(v); err != nil {
		return err
	}
	put := w.putID
	if old := w.ids.Get(id); old != nil {
		put = w.Bucket(bktIDs).replace
		replaced, err := number(old)
		if err != nil {
			return err
		}
		if err := w.erase(id, replaced); err != nil {
			return err
		}
	}
	w.changed++
	return errors.Join(put(id, v), w.merge.Delete(id))
}

// abandonStaging erases what an import has staged.
func (s *Store) abandonStaging() error {
	return s.repeat(func(w *writeTx) (more bool, err error) {
		staging := w.staging()
		if staging == nil {
			return false, nil
		}
		for _, ids := range stagedIDs(staging) {
			for _, id := range firstKeys(ids, s.batch) {
				if err := w.eraseStaged(ids.Get(id)); err != nil {
					return false, err
				}
				if err := ids.Delete(id); err != nil {
					return false, err
				}
			}
			if !isEmpty(ids) {
				return true, nil
			}
		}
		return false, w.endStaging()
	})
}

// stagedIDs are the buckets that staged ids may be in.
func stagedIDs(staging *bolt.Bucket) []*bolt.Bucket {
	buckets := []*bolt.Bucket{staging.Bucket(bktMerge)}
	if ids := staging.Bucket(bktIDs); ids != nil {
		buckets = append(buckets, ids)
	}
	return buckets
}

// eraseStaged erases a number that no id has led to, and frees it.
func (w *writeTx) eraseStaged(key []byte) error {
	n, err := number(key)
	if err != nil {
		return err
	}
	key = key32(n)
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

// repeat runs steps, each in a transaction of its own, to the last one. They
// are part of the store's own work: no context ends them.
func (s *Store) repeat(step func(w *writeTx) (more bool, err error)) error {
	for more := true; more; {
		err := s.enqueue(&writeOp{
			ctx: context.Background(), alone: true, internal: true,
			fn: func(w *writeTx) (err error) {
				more, err = step(w)
				return err
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
