package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// How an import is all or nothing, and yet in many transactions.
//
//	begin    make bktStaging
//	stage    write records, states and examples, in batches, where they will
//	         stay: under new numbers. No id leads to them: their ids are in
//	         the bucket merge within bktStaging, which no reader looks at.
//	commit   in one transaction move that bucket to the root, as bktMerge.
//	         From here on it goes before bktIDs for every reader.
//	merge    in batches move its ids to bktIDs, erasing what they replace.
//
// After a crash Open finds bktStaging, and erases what was staged; or
// bktMerge, and merges the rest; or neither.

// stagingBuckets are those within bktStaging: ids, and the banks and heads
// that the import brings.
var stagingBuckets = [][]byte{bktMerge, bktBanks, bktHeads, bktDigests}

func (s *Store) beginStaging(ctx context.Context) error {
	if err := s.recoverImport(); err != nil {
		return err
	}
	return s.write(ctx, func(w *writeTx) error {
		staging, err := w.CreateBucket(bktStaging)
		if err != nil {
			return err
		}
		for _, name := range stagingBuckets {
			if _, err := staging.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// recoverImport undoes or completes an import that was cut short.
func (s *Store) recoverImport() error {
	if s.opts.ReadOnly {
		return ErrReadOnly
	}
	var staged, committed bool
	err := s.view(func(t *txn) error {
		staged, committed = t.Bucket(bktStaging) != nil, t.merge != nil
		return nil
	})
	if err != nil {
		return err
	}
	if staged {
		s.opts.Logger.Info("undoing an import that was cut short")
		if err := s.abandonStaging(); err != nil {
			return err
		}
	}
	if committed {
		s.opts.Logger.Info("completing an import that was cut short")
		return s.mergeImport()
	}
	return nil
}

// register gives a bank or head of the bundle its ref.
func (im *importer) register(ctx context.Context, kind byte, d Digest, payload []byte) (ref uint32, err error) {
	err = im.s.write(ctx, func(w *writeTx) error {
		var err error
		ref, err = w.register(kind, d, payload, w.Bucket(bktStaging))
		return err
	})
	return ref, err
}

// flush stages the batch, once the one before it is staged.
func (im *importer) flush(ctx context.Context) error {
	if err := im.wait(); err != nil || len(im.batch) == 0 {
		return err
	}
	batch := im.batch
	im.batch, im.batchBytes = make([]staged, 0, len(batch)), 0
	im.staging = make(chan error, 1)
	go func() {
		im.staging <- im.s.writeAlone(ctx, func(w *writeTx) error {
			ids := w.Bucket(bktStaging).Bucket(bktMerge)
			ids.FillPercent = orderedFill // a bundle's ids ascend
			for i := range batch {
				if err := im.stage(w, &batch[i], ids); err != nil {
					return fmt.Errorf("profile %q: %w", batch[i].profile.ID, err)
				}
			}
			return nil
		})
	}()
	return nil
}

// wait returns once nothing is being staged, and the error of what was.
func (im *importer) wait() (err error) {
	if im.staging != nil {
		err = <-im.staging
		im.staging = nil
	}
	return err
}

// stage writes one profile under a new number.
func (im *importer) stage(w *writeTx, st *staged, ids *bolt.Bucket) error {
	p := st.profile
	old, err := w.existing([]byte(p.ID))
	if err != nil {
		return err
	}
	if old != nil || ids.Get([]byte(p.ID)) != nil {
		keep, err := im.resolve(w, p, old, ids)
		if err != nil || !keep {
			return err
		}
		if st.record, err = EncodeProfile(p); err != nil {
			return err
		}
	}
	if p.Number, err = w.newNumber(); err != nil {
		return err
	}
	if err := w.putNew(p.Number, st.record); err != nil {
		return err
	}
	if err := w.putState(p.Number, st.state); err != nil {
		return err
	}
	for i, e := range st.examples[max(0, len(st.examples)-w.s.opts.MaxExamples):] {
		key := key32x64(p.Number, uint64(i))
		if err := w.Bucket(bktExamples).Put(key, seal(tagExample, key, appendExample(nil, e))); err != nil {
			return err
		}
		im.report.Examples++
	}
	im.recordBytes += uint64(len(st.record))
	im.maskBytes += uint64(len(p.Mask.Bytes()))
	return ids.Put([]byte(p.ID), key32(p.Number))
}

// commit makes what was staged visible. Ids that others put or changed since
// they were staged are resolved here, once more.
func (im *importer) commit(ctx context.Context) error {
	return im.s.writeAlone(ctx, func(w *writeTx) error {
		staging := w.Bucket(bktStaging)
		fresh, again, err := im.scan(w, staging.Bucket(bktMerge))
		if err != nil {
			return err
		}
		if err := im.promoteAll(w, staging); err != nil {
			return err
		}
		// The bucket is as it was read: only what is not changed may be moved.
		if err := w.MoveBucket(bktMerge, staging, nil); err != nil {
			return err
		}
		if err := w.DeleteBucket(bktStaging); err != nil {
			return err
		}
		w.merge = w.Bucket(bktMerge)
		w.tally.profiles += uint64(fresh)
		w.tally.recordBytes += im.recordBytes
		w.tally.maskBytes += im.maskBytes
		w.tally.examples += uint64(im.report.Examples)
		for _, id := range again {
			if err := im.resolveAgain(w, id); err != nil {
				return fmt.Errorf("profile %q: %w", id, err)
			}
		}
		return nil
	})
}

// scan counts the staged ids that are new to the store and those that
// overwrite, and returns those to resolve again.
func (im *importer) scan(w *writeTx, ids *bolt.Bucket) (fresh int, again [][]byte, err error) {
	im.report.Profiles = 0
	im.report.Overwritten = 0
	err = ids.ForEach(func(id, v []byte) error {
		im.report.Profiles++
		old := w.ids.Get(id)
		if old == nil {
			fresh++
			return nil
		}
		if im.o.Policy == Overwrite {
			im.report.Overwritten++
			newRevision, err := w.revision(v)
			oldRevision, oldErr := w.revision(old)
			if err != nil || oldErr == nil && newRevision > oldRevision {
				return err
			}
		}
		again = append(again, bytes.Clone(id))
		return nil
	})
	return fresh, again, err
}

// revision reads the revision of the record under a number.
func (t *txn) revision(n []byte) (uint64, error) {
	p, err := DecodeProfile(t.profiles.Get(n))
	if err != nil {
		return 0, err
	}
	return p.Revision, nil
}

// promoteAll makes the banks and heads of the import visible.
func (im *importer) promoteAll(w *writeTx, staging *bolt.Bucket) error {
	var keys [][]byte
	err := staging.Bucket(bktDigests).ForEach(func(k, _ []byte) error {
		keys = append(keys, bytes.Clone(k))
		return nil
	})
	im.report.Heads = 0
	for _, key := range keys {
		if key[0] == kindHead {
			im.report.Heads++
		}
		err = errors.Join(err, w.promote(staging, key))
	}
	return err
}
