package store

import (
	"context"
	"errors"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// copyBytes is what one transaction of a copy writes.
const copyBytes = 4 << 20

// copier copies the buckets of a store into a new file, whose pages are then
// as full as those of an import.
type copier struct {
	ctx context.Context
	s   *Store
	db  *bolt.DB

	tx      *bolt.Tx // of db
	written int      // in tx
}

// copyAll copies all that a transaction sees, and counts up the revision.
func (c *copier) copyAll(from *bolt.Tx) (err error) {
	if err := c.begin(); err != nil {
		return err
	}
	defer func() { // also after a fault
		if c.tx != nil {
			_ = c.tx.Rollback()
		}
	}()
	err = from.ForEach(func(name []byte, b *bolt.Bucket) error { return c.bucket([][]byte{name}, b) })
	if err != nil {
		return err
	}
	if _, err := c.tx.Bucket(bktMeta).NextSequence(); err != nil {
		return err
	}
	return c.commit()
}

func (c *copier) begin() (err error) {
	if c.tx, err = c.db.Begin(true); err == nil {
		c.db.AllocSize, c.written = growth(c.tx.Size()), 0
	}
	return err
}

func (c *copier) commit() error {
	tx := c.tx
	c.tx = nil // a Commit that fails has rolled back
	return tx.Commit()
}

// bucket copies a bucket, and those in it.
func (c *copier) bucket(path [][]byte, from *bolt.Bucket) error {
	to, err := c.open(path)
	if err != nil {
		return err
	}
	if err := to.SetSequence(from.Sequence()); err != nil {
		return err
	}
	return from.ForEach(func(k, v []byte) error {
		if v == nil {
			err := c.bucket(append(slices.Clip(path), k), from.Bucket(k))
			if err == nil {
				to, err = c.open(path) // in another transaction, maybe
			}
			return err
		}
		if c.written += len(k) + len(v); c.written > copyBytes {
			if err := errors.Join(c.ctx.Err(), c.commit()); err != nil {
				return err
			}
			if err := c.begin(); err != nil {
				return err
			}
			if to, err = c.open(path); err != nil {
				return err
			}
		}
		return to.Put(k, v)
	})
}

// open returns a bucket of the new file, by the names that lead to it.
func (c *copier) open(path [][]byte) (b *bolt.Bucket, err error) {
	b, err = c.tx.CreateBucketIfNotExists(path[0])
	for _, name := range path[1:] {
		if err == nil {
			b, err = b.CreateBucketIfNotExists(name)
		}
	}
	if err == nil {
		b.FillPercent = orderedFill
	}
	return b, err
}
