package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// maxValue is the size limit of a value from PutMeta.
const maxValue = 1 << 20

// PutMeta stores a small value of the caller's under key, at most 1 MiB. A
// nil value deletes it.
func (s *Store) PutMeta(ctx context.Context, key string, value []byte) error {
	if err := checkValue(key, value); err != nil {
		return err
	}
	return s.write(ctx, func(w *writeTx) error {
		if value == nil {
			return w.Bucket(format.Values).discard([]byte(key))
		}
		return w.putMeta(key, value)
	})
}

func checkValue(key string, value []byte) error {
	if err := format.CheckID(key, maxID); err != nil {
		return fmt.Errorf("meta key: %w", err)
	}
	if len(value) > maxValue {
		return fmt.Errorf("%w: value of %d bytes, at most %d", ErrLimit, len(value), maxValue)
	}
	return nil
}

func (w *writeTx) putMeta(key string, value []byte) error {
	return w.Bucket(format.Values).put([]byte(key), format.Seal(format.TagValue, []byte(key), bytes.Clone(value)))
}

// GetMeta returns what PutMeta stored, or ErrNotFound.
func (s *Store) GetMeta(key string) ([]byte, error) {
	return viewed(s, func(t *txn) ([]byte, error) {
		value, err := t.value([]byte(key))
		if err == nil && value == nil {
			err = fmt.Errorf("%w: value %q", ErrNotFound, key)
		}
		return value, err
	})
}

// value returns a copy of a value, nil if there is none.
func (t *txn) value(key []byte) ([]byte, error) {
	v := t.Bucket(format.Values).Get(key)
	if v == nil {
		return nil, nil
	}
	payload, err := format.Unseal(format.TagValue, key, v)
	if err != nil {
		return nil, fmt.Errorf("value %q: %w", key, err)
	}
	return append([]byte{}, payload...), nil
}

// changeValue replaces a value by what a function makes of it.
func (w *writeTx) changeValue(key string, change func(old []byte) []byte) error {
	old, err := w.value([]byte(key))
	if err != nil {
		return err
	}
	value := change(old)
	if err := checkValue(key, value); err != nil {
		return err
	}
	return w.putMeta(key, value)
}
