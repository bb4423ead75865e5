package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"
)

// The two kinds in bktDigests.
const (
	kindBank = 'b'
	kindHead = 'h'
)

func digestKey(kind byte, d Digest) []byte { return append([]byte{kind}, d[:]...) }

// register returns the ref of a digest. One that is new gets the next ref and
// its value; within an import's staging bucket if that is given.
func (w *writeTx) register(kind byte, d Digest, payload []byte, staging *bolt.Bucket) (ref uint32, err error) {
	key := digestKey(kind, d)
	if v := w.Bucket(bktDigests).Get(key); v != nil {
		return number(v)
	}
	if staged := w.staging(); staged != nil {
		if v := staged.Bucket(bktDigests).Get(key); v != nil {
			if ref, err = number(v); err == nil && staging == nil {
				err = w.promote(staged, bytes.Clone(key))
			}
			return ref, err
		}
	}
	next, values, tag := &w.tally.nextBank, bktBanks, byte(tagBank)
	if kind == kindHead {
		next, values, tag = &w.tally.nextHead, bktHeads, tagHead
	}
	if *next > math.MaxUint32 {
		return 0, fmt.Errorf("%w: no refs left", ErrLimit)
	}
	ref = uint32(*next)
	*next++
	value := seal(tag, key32(ref), bytes.Clone(payload))
	if staging != nil {
		return ref, errors.Join(staging.Bucket(values).Put(key32(ref), value), staging.Bucket(bktDigests).Put(key, key32(ref)))
	}
	return ref, errors.Join(w.Bucket(values).insert(key32(ref), value), w.Bucket(bktDigests).insert(key, key32(ref)))
}

// promote moves a bank or head from an import's staging bucket to where
// readers see it.
func (w *writeTx) promote(staging *bolt.Bucket, key []byte) error {
	values := bktBanks
	if key[0] == kindHead {
		values = bktHeads
	}
	ref := bytes.Clone(staging.Bucket(bktDigests).Get(key))
	value := bytes.Clone(staging.Bucket(values).Get(ref))
	if err := w.Bucket(values).insert(ref, value); err != nil {
		return err
	}
	if err := w.Bucket(bktDigests).insert(key, ref); err != nil {
		return err
	}
	return staging.Bucket(bktDigests).Delete(key)
}
