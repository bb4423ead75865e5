package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// commit makes what was staged visible.
func (im *importer) commit(ctx context.Context) error {
	if bytes.Equal(im.ids, bktIDs) {
		adopted := false
		err := im.s.writeAlone(ctx, func(w *writeTx) (err error) {
			if adopted = isEmpty(w.ids); adopted {
				err = im.adopt(w)
			}
			return err
		})
		if err != nil || adopted {
			return err
		}
		if err := im.s.restage(); err != nil {
			return err
		}
	}
	return im.s.writeAlone(ctx, im.commitMerge)
}

// adopt makes the staged ids those of a store that is empty. The index does
// not learn of them one by one, but is rebuilt.
func (im *importer) adopt(w *writeTx) error {
	staging := w.staging()
	if err := im.promoteAll(w, staging); err != nil {
		return err
	}
	if err := w.DeleteBucket(bktIDs); err != nil {
		return err
	}
	if err := w.MoveBucket(bktIDs, staging, nil); err != nil {
		return err
	}
	if err := w.endStaging(); err != nil {
		return err
	}
	w.ids = readBucket{w.Tx.Bucket(bktIDs)}
	w.sums.of(bktIDs).join(im.idSum)
	im.count(w, im.report.Profiles)
	w.tally.commits += uint64(im.report.Profiles) // the index in the file is behind
	w.onCommit = append(w.onCommit, w.s.distrustIndex)
	return nil
}

// count adds what is now visible to the tally.
func (im *importer) count(w *writeTx, fresh int) {
	w.tally.profiles += uint64(fresh)
	w.tally.recordBytes += im.recordBytes
	w.tally.maskBytes += im.maskBytes
	w.tally.examples += uint64(im.report.Examples)
}

// restage moves the staged ids to where they are merged from: others have put
// profiles into the store, which was empty.
func (s *Store) restage() error {
	return s.repeat(func(w *writeTx) (more bool, err error) {
		staging := w.staging()
		from, to := staging.Bucket(bktIDs), staging.Bucket(bktMerge)
		for _, id := range firstKeys(from, s.batch) {
			n := bytes.Clone(from.Get(id))
			if err := errors.Join(to.Put(id, n), from.Delete(id)); err != nil {
				return false, err
			}
		}
		if !isEmpty(from) {
			return true, nil
		}
		return false, staging.DeleteBucket(bktIDs)
	})
}

// commitMerge makes the staged ids go before those of the store. Ids that
// others put or changed since they were staged are resolved here, once more.
func (im *importer) commitMerge(w *writeTx) error {
	staging := w.staging()
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
	if err := w.endStaging(); err != nil {
		return err
	}
	w.merge = w.Tx.Bucket(bktMerge)
	im.count(w, fresh)
	for _, id := range again {
		if err := im.resolveAgain(w, id); err != nil {
			return fmt.Errorf("profile %q: %w", id, err)
		}
	}
	return nil
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
	at, err := number(n)
	if err != nil {
		return 0, err
	}
	p, err := t.decode(at)
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
