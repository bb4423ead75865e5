package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// upgrade makes a file of an older version one of this version, and makes the
// cohorts anew if the file was last written under other options, in one
// transaction: a crash leaves the old file or the new one. In memory are the sets
// alone, two bytes for each number in each of them at most.
func (s *Store) upgrade() error {
	kept := s.meta.Keys != ""
	err := s.readPages(func(tx *bolt.Tx) error {
		kept = kept || s.rules.kept(tx)
		return nil
	})
	if err != nil || kept && s.meta.Schema == format.Schema {
		return err
	}
	s.opts.Logger.Info("upgrading the file, or its cohorts of profiles", "schema", s.meta.Schema, "to", format.Schema)
	return boltError(s.writePages(func(tx *bolt.Tx) error {
		if s.meta.Schema < format.SchemaMasks {
			if err := s.upgradeBuckets(tx); err != nil {
				return err
			}
		}
		if !kept {
			if err := s.makeCohorts(tx); err != nil {
				return err
			}
		}
		if _, err := tx.Bucket(format.Meta).NextSequence(); err != nil { // the revision
			return err
		}
		m := s.meta
		m.Schema = format.Schema
		return writeMeta(tx, m)
	}))
}

// upgradeBuckets makes the buckets of a file before format.SchemaMasks those of now.
func (s *Store) upgradeBuckets(tx *bolt.Tx) (err error) {
	var sums format.Sums
	if s.meta.Schema <= format.SchemaUnsummedStaging {
		sums = countSums(tx)
	} else if sums, err = readSums(tx); err != nil {
		return err
	}
	for later := range format.LaterBuckets {
		if _, err := tx.CreateBucketIfNotExists([]byte(later)); err != nil {
			return err
		}
	}
	if err := writeSums(tx, &sums); err != nil {
		return err
	}
	if tx.Bucket(format.Index) != nil {
		if err := tx.DeleteBucket(format.Index); err != nil {
			return err
		}
	}
	return tx.Bucket(format.Meta).Delete(format.KeyIndex)
}

// Up to schema 6 an import staged its profiles in the store's own file, under
// numbers that ids in buckets within format.Staging led to, and committed by moving
// the ids to format.Merge, which went before format.IDs until all were merged. Here is what
// finishes such an import when a file is opened.

// refuseOld refuses to read a file that such an import has committed, but not
// merged: without the rest it is neither the old state nor the new one.
func (s *Store) refuseOld() error {
	return s.view(func(t *txn) error {
		if t.Tx.Bucket(format.Merge) != nil {
			return fmt.Errorf("%w: an import of an older version was cut short; open the store for writing once",
				ErrReadOnly)
		}
		return nil
	})
}

// recoverOld ends an import that an older version was in the middle of.
func (s *Store) recoverOld() error {
	var staged, committed bool
	err := s.view(func(t *txn) error {
		staged, committed = t.Tx.Bucket(format.Staging) != nil, t.Tx.Bucket(format.Merge) != nil
		return nil
	})
	if err != nil || !staged && !committed {
		return err
	}
	s.opts.Logger.Info("ending an import of an older version that was cut short", "undone", staged)
	return s.writeAlone(context.Background(), func(w *writeTx) error {
		return cmp.Or(w.abandonOld(), w.mergeOld())
	})
}

// abandonOld erases numbers that no id has led to, and no tally counts.
func (w *writeTx) abandonOld() error {
	staging, before := w.Tx.Bucket(format.Staging), w.tally
	if staging == nil {
		return nil
	}
	for _, name := range [][]byte{format.Merge, format.IDs} {
		for _, v := range (readBucket{staging.Bucket(name)}).all() {
			n, err := format.Number(v)
			if err = cmp.Or(err, w.eraseNumber(n)); err != nil {
				return err
			}
		}
	}
	w.tally = before
	return w.DeleteBucket(format.Staging)
}

// mergeOld makes format.IDs lead to what the merge has, and erases what that replaces.
func (w *writeTx) mergeOld() error {
	merge := w.txn.Bucket(format.Merge)
	if merge.b == nil {
		return nil
	}
	for id, v := range merge.all() {
		put := w.putID
		if old := w.ids.Get(id); old != nil {
			put = w.Bucket(format.IDs).put
			n, err := format.Number(old)
			if err = cmp.Or(err, w.erase(id, n)); err != nil {
				return err
			}
		}
		w.changed++
		if err := put(bytes.Clone(id), bytes.Clone(v)); err != nil {
			return err
		}
	}
	return w.DeleteBucket(format.Merge)
}
