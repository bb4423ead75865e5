package store

import (
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
		sums, err = countSums(tx)
	} else {
		sums, err = readSums(tx)
	}
	if err != nil {
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
