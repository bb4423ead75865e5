package store

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// existing returns the profile that readers see, or nil.
func (t *txn) existing(id []byte) (*Profile, error) {
	key := t.idKey(id)
	if t.ids.Get(key) == nil && (t.merge == nil || t.merge.Get(key) == nil) {
		return nil, nil
	}
	return t.profile(id)
}

// resolve applies the policy to a profile whose id is the store's already, as
// old, or another staged one's. It returns whether to keep the bundle's.
func (im *importer) resolve(w *writeTx, p, old *Profile, ids *bolt.Bucket) (bool, error) {
	switch {
	case im.o.Policy == Skip && old != nil:
		im.report.Skipped++
		return false, nil
	case im.o.Policy == Overwrite && old != nil:
		p.Revision = max(p.Revision, old.Revision+1)
		return true, nil
	case im.o.Policy != Rename:
		return false, ErrExists
	}
	id, err := im.freeID(w, p.ID, ids)
	if err != nil {
		return false, err
	}
	if im.report.Renamed == nil {
		im.report.Renamed = map[string]string{}
	}
	im.report.Renamed[p.ID] = id
	p.ID = id
	return true, nil
}

// freeID finds another id for a profile.
func (im *importer) freeID(w *writeTx, id string, ids *bolt.Bucket) (string, error) {
	taken := func(id string) bool {
		key := w.idKey([]byte(id))
		return ids.Get(key) != nil || w.ids.Get(key) != nil
	}
	if im.o.Rename != nil {
		var renamed string
		callersCode(func() { renamed = im.o.Rename(id) })
		if taken(renamed) {
			return "", fmt.Errorf("%w: renamed to %q", ErrExists, renamed)
		}
		return renamed, checkID(renamed, w.s.opts.MaxID)
	}
	for i := 2; ; i++ {
		renamed := fmt.Sprintf("%s-%d", id, i)
		if !taken(renamed) {
			return renamed, checkID(renamed, w.s.opts.MaxID)
		}
	}
}

// resolveAgain applies the policy to the key of an id in bktMerge that another
// writer put since it was staged.
func (im *importer) resolveAgain(w *writeTx, key []byte) error {
	n := bytes.Clone(w.merge.Get(key))
	p, err := w.numberedIn(w.merge, key)
	if err != nil {
		return err
	}
	old, err := w.numberedIn(w.ids, key)
	if err != nil {
		return err
	}
	keep, err := im.resolve(w, p, old, w.merge)
	if err != nil {
		return err
	}
	if !keep { // it never becomes visible
		before := w.tally.examples
		err := errors.Join(w.merge.Delete(key), w.eraseNumber(p.Number))
		im.report.Profiles--
		im.report.Examples -= int(before - w.tally.examples)
		return err
	}
	now := w.idKey([]byte(p.ID))
	if !bytes.Equal(now, key) {
		w.tally.profiles++
		if err := w.merge.Delete(key); err != nil {
			return err
		}
	}
	grown, err := w.putRecord(p)
	w.tally.recordBytes += uint64(grown)
	return errors.Join(err, w.merge.Put(now, n))
}

// numberedIn returns the profile that a key of one of the two buckets of ids
// leads to.
func (t *txn) numberedIn(ids interface{ Get(key []byte) []byte }, key []byte) (*Profile, error) {
	n, err := number(ids.Get(key))
	if err != nil {
		return nil, err
	}
	return t.numbered(key, n)
}
