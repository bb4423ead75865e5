package store

import (
	"context"
	"errors"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/boltpages"

	"github.com/xpeft/xpeft/store/internal/format"
)

// bulk fills a new file that nobody else has open, in transactions of
// batchBytes. Keys of a bucket come in order, so that pages are as full as those
// of an import.
type bulk struct {
	ctx     context.Context
	db      *bolt.DB
	tx      *bolt.Tx
	written int // bytes, in tx
}

// next commits, and begins a new transaction.
func (b *bulk) next() error {
	err := errors.Join(b.ctx.Err(), b.commit())
	if err != nil {
		return err
	}
	if b.tx, err = b.db.Begin(true); err == nil {
		b.db.AllocSize, b.written = growth(b.tx.Size()), 0
	}
	return err
}

func (b *bulk) commit() error {
	tx := b.tx
	if b.tx = nil; tx == nil {
		return nil
	}
	return tx.Commit() // or it has rolled back
}

// rollback ends a transaction that was not committed, if there is one.
func (b *bulk) rollback() error {
	if b.tx == nil {
		return nil
	}
	return b.tx.Rollback()
}

// put writes a pair. The value stays the caller's until next.
func (b *bulk) put(bucket, k, v []byte) error {
	if b.written += boltpages.ElementSize + len(k) + len(v); b.written > batchBytes {
		if err := b.next(); err != nil {
			return err
		}
	}
	to := b.tx.Bucket(bucket)
	to.FillPercent = orderedFill
	return to.Put(k, v)
}

// copyAll copies all that a transaction sees, and counts up the revision.
func (b *bulk) copyAll(from *bolt.Tx) (err error) {
	if err := b.next(); err != nil {
		return err
	}
	defer func() { _ = b.rollback() }() // also after a fault
	err = from.ForEach(func(name []byte, old *bolt.Bucket) error {
		to, err := b.tx.CreateBucket(name)
		if err != nil {
			return err
		}
		if err := to.SetSequence(old.Sequence()); err != nil {
			return err
		}
		return old.ForEach(func(k, v []byte) error { return b.put(name, k, v) })
	})
	if err != nil {
		return err
	}
	if _, err := b.tx.Bucket(format.Meta).NextSequence(); err != nil {
		return err
	}
	return b.commit()
}
