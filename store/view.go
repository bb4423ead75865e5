package store

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"
)

// view runs fn in a reading transaction. With encryption it may run more than
// once: it must set what it returns, never add to it.
func (s *Store) view(fn func(t *txn) error) error {
	if s.closed.Load() {
		return ErrClosed
	}
	s.reads.Add(1)
	for {
		var t txn
		epoch := s.keys.Epoch()
		err := s.readPages(func(tx *bolt.Tx) error {
			t = s.newTxn(tx)
			t.epoch = epoch
			return fn(&t)
		})
		if !errors.Is(err, errVanished) {
			return boltError(t.named(err))
		}
	}
}

// viewed is view of a function that returns something: with an error, nothing.
func viewed[T any](s *Store, fn func(t *txn) (T, error)) (v T, err error) {
	err = s.view(func(t *txn) (err error) {
		v, err = fn(t)
		return err
	})
	if err != nil {
		v = *new(T)
	}
	return v, err
}

// viewedOf is viewed with the number of a profile.
func viewedOf[T any](s *Store, id string, fn func(t *txn, n uint32) (T, error)) (T, error) {
	return viewed(s, func(t *txn) (v T, err error) {
		n, err := t.owned([]byte(id))
		if err != nil {
			return v, err
		}
		return fn(t, n)
	})
}

// viewedPages collects what read makes of the pairs of a bucket, unless it is not ok: so many
// pairs in a transaction.
func viewedPages[T any](
	s *Store, bucket []byte, size int, read func(t *txn, k, v []byte) (one T, ok bool, err error),
) (all []T, err error) {
	for from := []byte{}; from != nil; {
		var next []byte
		page, err := viewed(s, func(t *txn) (page []T, err error) {
			t.reading, next = bucket, nil
			seen := 0
			for k, v := range t.Bucket(bucket).from(from) {
				if seen++; seen > size {
					next = bytes.Clone(k)
					break
				}
				one, ok, err := read(t, k, v)
				if err != nil {
					return nil, err
				}
				if ok {
					page = append(page, one)
				}
			}
			return page, nil
		})
		if err != nil {
			return nil, err
		}
		all, from = append(all, page...), next
	}
	return all, nil
}
