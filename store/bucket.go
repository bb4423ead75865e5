package store

import (
	"bytes"
	"encoding/binary"
	"iter"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// readBucket is a bucket that cannot be written: a writing transaction writes
// through bucket, which keeps the sums. If an older file lacks it there is nothing in it.
type readBucket struct{ b *bolt.Bucket }

// Cursor is nil if there is no bucket.
func (r readBucket) Cursor() *bolt.Cursor {
	if r.b == nil {
		return nil
	}
	return r.b.Cursor()
}

func (r readBucket) Get(key []byte) []byte {
	if r.b == nil {
		return nil
	}
	return r.b.Get(key)
}

func (r readBucket) all() iter.Seq2[[]byte, []byte] { return r.from(nil) }

func (r readBucket) from(key []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		if c := r.Cursor(); c != nil {
			for k, v := c.Seek(key); k != nil && yield(k, v); k, v = c.Next() {
			}
		}
	}
}

func (r readBucket) of(prefix []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		for k, v := range r.from(prefix) {
			if !bytes.HasPrefix(k, prefix) || !yield(k, v) {
				return
			}
		}
	}
}

// orderedFill is how full bbolt leaves the pages of keys that come in order:
// the rest is for records that grow. It is 13 records of N=150, L=6 a page,
// and 0.9 would be 12.
const orderedFill = 0.92

// bucket is one of format.Summed, within a writing transaction.
type bucket struct {
	readBucket
	w       *writeTx
	sum     *format.Sum
	changed *roaring.Bitmap // whose keys were written; nil if its keys are not profiles', or nobody asks
}

func (b bucket) note(key []byte) {
	if b.changed != nil && len(key) >= 4 {
		b.changed.Add(binary.BigEndian.Uint32(key))
	}
}

// fill is how full the pages are left that a transaction splits.
func (b bucket) fill(percent float64) bucket {
	b.b.FillPercent = percent
	return b
}

// insert stores a value under a key that the bucket does not have.
func (b bucket) insert(key, value []byte) error {
	b.sum.Add(key)
	return b.write(key, value)
}

func (b bucket) write(key, value []byte) error {
	b.note(key)
	return b.w.putIn(b.b, key, value)
}

func (b bucket) put(key, value []byte) error {
	if b.Get(key) == nil {
		return b.insert(key, value)
	}
	return b.write(key, value)
}

// remove deletes a key that the bucket has, or had: if a damaged page lost it,
// it is not missed from here on.
func (b bucket) remove(key []byte) error {
	b.sum.Remove(key)
	b.note(key)
	return b.w.deleteIn(b.b, key)
}

func (b bucket) discard(key []byte) error {
	if b.Get(key) == nil {
		return nil
	}
	return b.remove(key)
}

// prefixed copies the keys that start with prefix.
func (r readBucket) prefixed(prefix []byte) (keys [][]byte) {
	for k := range r.of(prefix) {
		keys = append(keys, bytes.Clone(k))
	}
	return keys
}

func (b bucket) removeAll(keys [][]byte) error {
	for _, k := range keys {
		if err := b.remove(k); err != nil {
			return err
		}
	}
	return nil
}

// removePrefix deletes the keys that start with prefix, and returns their
// number.
func (b bucket) removePrefix(prefix []byte) (uint64, error) {
	keys := b.prefixed(prefix)
	return uint64(len(keys)), b.removeAll(keys)
}
