package store

import (
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
// Into a store without profiles there is nothing to merge: the ids are staged
// in a bucket that the commit puts in the place of bktIDs, if that is still
// empty.
//
// After a crash Open finds bktStaging, and erases what was staged; or
// bktMerge, and merges the rest; or neither.

// stagingBuckets are those within bktStaging: ids, and the banks and heads
// that the import brings. If the store is empty bktIDs is there too, and then
// the ids are in that.
var stagingBuckets = [][]byte{bktMerge, bktBanks, bktHeads, bktDigests}

func (im *importer) begin(ctx context.Context) error {
	if err := im.s.recoverImport(); err != nil {
		return err
	}
	return im.s.write(ctx, func(w *writeTx) error {
		staging, err := w.CreateBucket(bktStaging)
		if err != nil {
			return err
		}
		for _, name := range stagingBuckets {
			if _, err := staging.CreateBucket(name); err != nil {
				return err
			}
		}
		im.ids = bktMerge
		if !isEmpty(w.ids) {
			return nil
		}
		im.ids = bktIDs
		_, err = staging.CreateBucket(bktIDs)
		return errors.Join(err, setSchema(w.Tx, schemaStaging))
	})
}

// endStaging leaves nothing of what was staged but what was moved.
func (w *writeTx) endStaging() error {
	return errors.Join(w.DeleteBucket(bktStaging), setSchema(w.Tx, schema))
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
		ref, err = w.register(kind, d, payload, w.staging())
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
	staging := make(chan stagingEnd, 1)
	im.staging = staging
	go func() {
		end := stagingEnd{err: errPanicked}
		defer func() {
			end.panicked = recover()
			staging <- end
		}()
		end.err = im.s.writeAlone(ctx, func(w *writeTx) error {
			ids := w.staging().Bucket(im.ids)
			ids.FillPercent = orderedFill // a bundle's ids ascend
			if w.keys != nil {
				ids.FillPercent = bolt.DefaultFillPercent
			}
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

// stagingEnd is what staging a batch ended with.
type stagingEnd struct {
	err      error
	panicked any // of ImportOptions.Rename
}

// wait returns once nothing is being staged, and the error of what was. A panic
// goes on here, in the caller's goroutine.
func (im *importer) wait() error {
	end := im.settle()
	if end.panicked != nil {
		panic(end.panicked)
	}
	return end.err
}

// settle is wait without the panic.
func (im *importer) settle() (end stagingEnd) {
	if im.staging != nil {
		end = <-im.staging
		im.staging = nil
	}
	return end
}

// stage writes one profile under a new number.
func (im *importer) stage(w *writeTx, st *staged, ids *bolt.Bucket) error {
	p := st.profile
	old, err := w.existing([]byte(p.ID))
	if err != nil {
		return err
	}
	// A bundle has no id twice, but one may have been renamed to this one.
	if old != nil || im.report.Renamed != nil && ids.Get(w.idKey([]byte(p.ID))) != nil {
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
	size, err := w.putValue(p.Number, st.record, true)
	if err != nil {
		return err
	}
	if err := w.regroup(p.Number, nil, p); err != nil {
		return err
	}
	if st.state != nil {
		if err := w.putState(p.Number, st.state); err != nil {
			return err
		}
	}
	if err := im.stageShelf(w, p.Number, &st.shelf); err != nil {
		return err
	}
	im.report.Profiles++
	im.recordBytes += uint64(size)
	im.maskBytes += uint64(len(p.Mask.Bytes()))
	idKey := w.idKey([]byte(p.ID))
	im.idSum.add(idKey)
	return ids.Put(idKey, key32(p.Number))
}

func (im *importer) stageShelf(w *writeTx, n uint32, sh *shelf) error {
	if len(sh.examples) == 0 && sh.person.plain() {
		return nil
	}
	before := w.tally.examples
	err := w.putShelf(n, sh)
	im.report.Examples += int(w.tally.examples - before)
	w.tally.examples = before // counted once they are committed
	return err
}
