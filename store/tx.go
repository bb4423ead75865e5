package store

import (
	"bytes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// txn is a transaction, reading or writing. Nothing that it returns as a view
// outlives it.
type txn struct {
	*bolt.Tx
	ids, profiles readBucket

	keys       *keyring.Ring // nil: nothing is encrypted
	epoch      uint64        // of keys, before the transaction began
	writing    bool
	fresh      map[uint32]freshKey // not in keys yet
	lastNumber uint32              // whose cipher lastAEAD is
	lastAEAD   cipher.AEAD

	reading []byte // what an error of damaged pages names: the id asked for last, or a bucket
}

func (s *Store) newTxn(tx *bolt.Tx) txn {
	t := txn{Tx: tx, keys: s.keys}
	t.ids, t.profiles = t.Bucket(format.IDs), t.Bucket(format.Profiles)
	return t
}

func (t *txn) Bucket(name []byte) readBucket { return readBucket{t.Tx.Bucket(name)} }

// named adds to an error of damaged pages what was being read.
func (t *txn) named(err error) error {
	if d := (*damage)(nil); len(t.reading) > 0 && errors.As(err, &d) {
		return fmt.Errorf("reading %q: %w", t.reading, err)
	}
	return err
}

func (t *txn) number(id []byte) (uint32, error) {
	t.reading = id
	key := t.idKey(id)
	v := t.ids.Get(key)
	if v == nil {
		return 0, fmt.Errorf("%w: profile %q", ErrNotFound, id)
	}
	return format.Number(v)
}

// owned is number, once the record under it is known to be id's: nothing seals
// the number beside an id, and what lies beside the record is another's if it
// is damaged.
func (t *txn) owned(id []byte) (uint32, error) {
	n, err := t.number(id)
	if err != nil {
		return 0, err
	}
	r, err := t.refs(n)
	if err != nil {
		return 0, fmt.Errorf("profile %q: %w", id, err)
	}
	return n, t.ownedBy(r.ID, t.idKey(id))
}

func (t *txn) refs(n uint32) (format.Refs, error) {
	b, err := t.record(n)
	if err != nil {
		return format.Refs{}, err
	}
	return format.ReadRefs(b)
}

// ownedBy is ErrCorrupt unless it is a record's id that leads to it.
func (t *txn) ownedBy(id, key []byte) error {
	if !bytes.Equal(t.idKey(id), key) {
		return corrupt("profile %q has the record of %q", key, id)
	}
	return nil
}

func (t *txn) profile(id []byte) (*Profile, error) {
	n, err := t.number(id)
	if err != nil {
		return nil, err
	}
	p, err := t.decode(n)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", id, err)
	}
	if p.ID != string(id) {
		return nil, corrupt("profile %q has the record of %q", id, p.ID)
	}
	return p, nil
}

// numbered decodes the record under a number and checks that it is the one
// that a key of format.IDs leads to.
func (t *txn) numbered(key []byte, n uint32) (*Profile, error) {
	p, err := t.decode(n)
	if err != nil {
		return nil, fmt.Errorf("profile %q: %w", key, err)
	}
	if err := t.ownedBy([]byte(p.ID), key); err != nil {
		return nil, err
	}
	return p, nil
}

func putKey(key *[4]byte, n uint32) []byte {
	binary.BigEndian.PutUint32(key[:], n)
	return key[:]
}

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
