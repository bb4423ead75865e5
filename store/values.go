package store

import (
	"bytes"
	"context"
	"fmt"
)

// maxValue is the size limit of a value from PutMeta.
const maxValue = 1 << 20

// PutMeta stores a small value of the caller's under key, at most 1 MiB. A
// nil value deletes it.
func (s *Store) PutMeta(ctx context.Context, key string, value []byte) error {
	if err := checkID(key, maxID); err != nil {
		return fmt.Errorf("meta key: %w", err)
	}
	if len(value) > maxValue {
		return fmt.Errorf("%w: value of %d bytes, at most %d", ErrLimit, len(value), maxValue)
	}
	return s.write(ctx, func(w *writeTx) error {
		if value == nil {
			return w.Bucket(bktValues).discard([]byte(key))
		}
		return w.Bucket(bktValues).put([]byte(key), seal(tagValue, []byte(key), bytes.Clone(value)))
	})
}

// GetMeta returns what PutMeta stored, or ErrNotFound.
func (s *Store) GetMeta(key string) (value []byte, err error) {
	err = s.view(func(t *txn) error {
		v := t.Bucket(bktValues).Get([]byte(key))
		if v == nil {
			return fmt.Errorf("%w: value %q", ErrNotFound, key)
		}
		payload, err := unseal(tagValue, []byte(key), v)
		if err != nil {
			return fmt.Errorf("value %q: %w", key, err)
		}
		value = append([]byte{}, payload...)
		return nil
	})
	return value, err
}

// changeValue replaces a value by what a function makes of it.
func (w *writeTx) changeValue(key string, change func(old []byte) []byte) error {
	if err := checkID(key, maxID); err != nil {
		return fmt.Errorf("meta key: %w", err)
	}
	var old []byte
	if v := w.Bucket(bktValues).Get([]byte(key)); v != nil {
		payload, err := unseal(tagValue, []byte(key), v)
		if err != nil {
			return fmt.Errorf("value %q: %w", key, err)
		}
		old = bytes.Clone(payload)
	}
	value := change(old)
	if len(value) > maxValue {
		return fmt.Errorf("%w: value of %d bytes, at most %d", ErrLimit, len(value), maxValue)
	}
	return w.Bucket(bktValues).put([]byte(key), seal(tagValue, []byte(key), bytes.Clone(value)))
}
