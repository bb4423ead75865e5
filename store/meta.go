package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Digest is a SHA-256: the name of an encoder, tokenizer, bank or head.
type Digest [32]byte

// String is the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is the first twelve hexadecimal digits, for messages.
func (d Digest) Short() string { return hex.EncodeToString(d[:6]) }

// MarshalText makes a digest hexadecimal in JSON.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(text []byte) error {
	if len(text) != 2*len(d) {
		return corrupt("digest of %d digits, want %d", len(text), 2*len(d))
	}
	if _, err := hex.Decode(d[:], text); err != nil {
		return corrupt("digest: %w", err)
	}
	return nil
}

// Meta is what a store is bound to, from its creation on.
type Meta struct {
	Schema    int               // version of the file's layout; set by Create
	Model     string            // folder of the encoder, as the user named it
	Encoder   Digest            // of the encoder's weights and configuration
	Tokenizer Digest            // of the tokenizer, its length limit included
	MaxTokens int               // longest text, in tokens
	Created   time.Time         // set by Create if zero
	Keys      string            `json:",omitempty"` // id of the file of keys, set by Create with a master key; empty: nothing is encrypted
	Extra     map[string]string // for the caller
}

func readMeta(tx *bolt.Tx) (m Meta, err error) {
	b := tx.Bucket(format.Meta)
	if b == nil {
		return m, corrupt("not a store: no bucket %q", format.Meta)
	}
	return decodeMeta(b.Get(format.KeyStore))
}

func decodeMeta(value []byte) (m Meta, err error) {
	text, err := format.Unseal(format.TagMeta, format.KeyStore, value)
	if err != nil {
		return m, corrupt("meta: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, corrupt("meta: %w", err)
	}
	if m.Schema > format.Schema {
		return m, fmt.Errorf("%w: schema %d, this one reads up to %d", ErrSchema, m.Schema, format.Schema)
	}
	if m.Schema < 1 {
		return m, corrupt("schema %d", m.Schema)
	}
	return m, nil
}

func writeMeta(tx *bolt.Tx, m Meta) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Bucket(format.Meta).Put(format.KeyStore, format.Seal(format.TagMeta, format.KeyStore, text))
}

func readTally(tx *bolt.Tx) (format.Tally, error) {
	return format.DecodeTally(tx.Bucket(format.Meta).Get(format.KeyTally))
}

func writeTally(tx *bolt.Tx, t *format.Tally) error {
	return tx.Bucket(format.Meta).Put(format.KeyTally, t.Encode())
}

func readSums(tx *bolt.Tx) (format.Sums, error) {
	return format.DecodeSums(tx.Bucket(format.Meta).Get(format.KeySums))
}

func writeSums(tx *bolt.Tx, s *format.Sums) error {
	return tx.Bucket(format.Meta).Put(format.KeySums, s.Encode())
}

func countSums(tx *bolt.Tx) (s format.Sums) {
	for i, name := range format.Summed {
		for k := range (readBucket{tx.Bucket(name)}).all() {
			s[i].Add(k)
		}
	}
	return s
}

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
	p, ok, err := t.stored(format.TagValue, key)
	if !ok || err != nil {
		return nil, err
	}
	return append([]byte{}, p.data...), nil
}

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
