package store

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// With Options.MasterKey what is stored of a profile (record, state, examples,
// history) is encrypted under its own key, and format.IDs has HMACs of ids for
// keys. Here is all that knows of the difference.

// errVanished ends a reading transaction that came upon a profile which was
// deleted after it began, and whose key is gone. view then begins anew.
var errVanished = errors.New("store: deleted meanwhile")

// idKey is what format.IDs has an id under.
func (t *txn) idKey(id []byte) []byte {
	if t.keys == nil {
		return id
	}
	return t.keys.IDKey(id)
}

func (t *txn) aead(n uint32) (cipher.AEAD, error) {
	if a := t.fresh[n].aead; a != nil {
		return a, nil
	}
	if t.lastAEAD != nil && t.lastNumber == n {
		return t.lastAEAD, nil
	}
	a, err := t.keys.AEAD(n)
	if err != nil {
		return nil, t.vanished(n, err)
	}
	t.lastNumber, t.lastAEAD = n, a
	return a, nil
}

// vanished is errVanished, if that is why a value cannot be read.
func (t *txn) vanished(n uint32, err error) error {
	if !t.writing && t.keys.ErasedSince(n, t.epoch) {
		return errVanished
	}
	return err
}

// payload reads a value of the profile n: a view if nothing is encrypted. A
// record has its own checksum; others are unsealed.
func (t *txn) payload(tag byte, n uint32, key, value []byte) ([]byte, error) {
	switch {
	case t.keys == nil && (tag == format.TagRecord || tag == format.TagHistory):
		return value, nil
	case t.keys == nil:
		return format.Unseal(tag, key, value)
	}
	a, err := t.aead(n)
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, value, boundTo(tag, key))
	if err != nil {
		return nil, t.vanished(n, corrupt("value of %d bytes does not decrypt", len(value)))
	}
	return plain, nil
}

// sealed is the value that payload reads. It may append to the payload given.
func (w *writeTx) sealed(tag byte, n uint32, key, payload []byte) ([]byte, error) {
	switch {
	case w.keys == nil && (tag == format.TagRecord || tag == format.TagHistory):
		return payload, nil
	case w.keys == nil:
		return format.Seal(tag, key, payload), nil
	}
	a, err := w.aead(n)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, payload, boundTo(tag, key)), nil
}

// boundTo is where a value is, so that it cannot be read elsewhere.
func boundTo(tag byte, key []byte) []byte { return append([]byte{tag}, key...) }

func (t *txn) record(n uint32) ([]byte, error) {
	var key [4]byte
	k := putKey(&key, n)
	return t.payload(format.TagRecord, n, k, t.profiles.Get(k))
}

func (t *txn) decode(n uint32) (*Profile, error) {
	b, err := t.record(n)
	if err != nil {
		return nil, err
	}
	p, err := DecodeProfile(b)
	if err != nil {
		return nil, err
	}
	p.Number = n
	return p, nil
}

// freshKey is one that a transaction gives to a new profile.
type freshKey struct {
	slot []byte
	aead cipher.AEAD
}

func (w *writeTx) giveKey(n uint32) error {
	if w.keys == nil {
		return nil
	}
	slot, a, err := w.keys.NewSlot(n)
	if err != nil {
		return err
	}
	if w.fresh == nil {
		w.fresh = map[uint32]freshKey{}
	}
	w.fresh[n] = freshKey{slot, a}
	return nil
}

// writeKeys stores the new keys, before the records that need them are.
func (w *writeTx) writeKeys() error {
	slots := make(map[uint32][]byte, len(w.fresh))
	for n, k := range w.fresh {
		if !w.freed[n] {
			slots[n] = k.slot
		}
	}
	return w.keys.Write(slots)
}

func (s *Store) startKeys() (err error) {
	switch {
	case s.meta.Keys == "" && s.opts.MasterKey == nil:
		return nil
	case s.meta.Keys == "":
		return fmt.Errorf("%w: the store is not encrypted, but a master key is given", ErrKey)
	case s.opts.MasterKey == nil:
		return fmt.Errorf("%w: the store is encrypted, and no master key is given", ErrKey)
	}
	s.keys, err = keyring.Open(KeysPath(s.path), s.meta.Keys, s.opts.MasterKey, s.opts.ReadOnly, s.opts.NoSync)
	return err
}

// eraseOrphans erases the keys of free numbers: those of profiles whose Delete,
// or whose first Put, a crash cut short. A number that merely has no record
// keeps its key: pages may be damaged.
func (s *Store) eraseOrphans() error {
	if s.keys == nil {
		return nil
	}
	var orphans []uint32
	err := s.readPages(func(tx *bolt.Tx) (err error) {
		tally, err := readTally(tx)
		if err != nil {
			return err
		}
		free := tx.Bucket(format.Free).Cursor()
		next, _ := free.First()
		return s.keys.Each(func(n uint32) {
			key := format.Key(n)
			for next != nil && bytes.Compare(next, key) < 0 {
				next, _ = free.Next()
			}
			if uint64(n) >= tally.NextNumber || bytes.Equal(next, key) {
				orphans = append(orphans, n)
			}
		})
	})
	if err != nil {
		return err
	}
	return s.keys.Erase(orphans)
}
