package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/keyring"

	"github.com/xpeft/xpeft/store/internal/format"
)

// restoredFile is the store that backups are made into. It is nobody's before
// finish, so it is synced once, in the end.
type restoredFile struct {
	bulk
	path    string
	keys    *os.File     // nil: nothing is encrypted
	refs    format.Tally // NextBank and NextHead
	dropped bool         // something was
}

// createRestored makes an empty store in the place of an empty file. Keys begin
// its file of keys, nil: it has none.
func createRestored(path string, meta Meta, keys io.Reader) (f *restoredFile, err error) {
	opts := Options{NoSync: true}
	if err := writeEmpty(path, meta, opts); err != nil {
		return nil, err
	}
	f = &restoredFile{path: path, bulk: bulk{ctx: context.Background()}, refs: format.Tally{NextBank: 1, NextHead: 1}}
	if keys != nil {
		if f.keys, err = os.OpenFile(KeysPath(path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err != nil {
			return nil, err
		}
		if _, err := io.Copy(f.keys, keys); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	if f.db, err = bolt.Open(path, 0o600, opts.bolt(0)); err == nil {
		err = f.next()
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// put writes a pair, of which it keeps a copy: bbolt does not.
func (f *restoredFile) put(bucket, k, v []byte) error { return f.bulk.put(bucket, k, bytes.Clone(v)) }

// putPair writes a valid pair, and what leads to a bank or head.
func (f *restoredFile) putPair(b backedUpBucket, p pair, k, v []byte) (err error) {
	switch b.tag {
	case tagKey:
		return f.slot(k, v)
	case format.TagBank, format.TagHead:
		next := nextRef(&f.refs, b.tag)
		*next = max(*next, uint64(p.n)+1)
		err = f.put(format.Digests, digestKey(b.tag, p.digest), k)
	}
	return errors.Join(err, f.put(b.bucket, k, v))
}

func (f *restoredFile) slot(k, slot []byte) error {
	_, err := f.keys.WriteAt(slot, keyring.SlotAt(binary.BigEndian.Uint32(k)))
	return err
}

func (f *restoredFile) clear(buckets ...[]byte) error {
	f.dropped = true
	for _, name := range buckets {
		if err := f.tx.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := f.tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return nil
}

// drop removes the profiles of numbers, and their keys.
func (f *restoredFile) drop(gone *roaring.Bitmap) error {
	if gone.IsEmpty() {
		return nil
	}
	f.dropped = true
	for _, c := range backedUp {
		if c.tag != tagID && !format.OfProfiles(c.bucket) {
			continue
		}
		err := f.dropWhere(c.bucket, func(k, v []byte) bool {
			if c.tag == tagID {
				k = v
			}
			return gone.Contains(binary.BigEndian.Uint32(k))
		})
		if err != nil {
			return err
		}
	}
	if f.keys == nil {
		return nil
	}
	zeros := make([]byte, keyring.SlotSize)
	for it := gone.Iterator(); it.HasNext(); {
		if err := f.slot(format.Key(it.Next()), zeros); err != nil {
			return err
		}
	}
	return nil
}

// dropWhere removes the pairs that match, a batch at a time.
func (f *restoredFile) dropWhere(bucket []byte, match func(k, v []byte) bool) error {
	for from := []byte{}; from != nil; {
		var found [][]byte
		c := f.tx.Bucket(bucket).Cursor()
		k, v := c.Seek(from)
		for ; k != nil && len(found) < batchProfiles; k, v = c.Next() {
			if match(k, v) {
				found = append(found, bytes.Clone(k))
			}
		}
		from = bytes.Clone(k)
		for _, k := range found {
			if err := f.tx.Bucket(bucket).Delete(k); err != nil {
				return err
			}
		}
		if err := f.next(); err != nil {
			return err
		}
	}
	return nil
}

// finish writes what follows from the rest, and makes all durable.
func (f *restoredFile) finish(h *backupHeader, live *roaring.Bitmap) error {
	now := f.refs
	now.Commits, now.MaskBytes, now.NextNumber = h.commits, h.maskBytes, 1
	if !live.IsEmpty() {
		now.NextNumber = uint64(live.Maximum()) + 1
	}
	for n := uint64(1); n < now.NextNumber; n++ {
		if !live.Contains(uint32(n)) {
			if err := f.put(format.Free, format.Key(uint32(n)), nil); err != nil {
				return err
			}
		}
	}
	if f.keys == nil { // those of labels are made by the next Open, which knows heads
		if err := (&Store{}).makeCohorts(f.tx); err != nil {
			return err
		}
	}
	found := countSums(f.tx)
	now.Profiles, now.Examples = found.Of(format.IDs).Keys, found.Of(format.Examples).Keys
	if now.Profiles != live.GetCardinality() { // an id of a profile that stays, given to another
		return corrupt("%d ids of %d profiles", now.Profiles, live.GetCardinality())
	}
	for _, v := range (readBucket{f.tx.Bucket(format.Profiles)}).all() {
		now.RecordBytes += uint64(len(v))
	}
	err := errors.Join(writeTally(f.tx, &now), writeSums(f.tx, &found),
		f.tx.Bucket(format.Meta).SetSequence(h.revision-1), f.commit())
	if err == nil && f.dropped {
		err = f.rewrite()
	}
	if f.keys != nil {
		err = errors.Join(err, f.keys.Sync())
	}
	if f.db != nil {
		err = errors.Join(err, f.db.Sync())
	}
	return err
}

// rewrite writes the file anew, and closes it: what was dropped is still in its free pages.
func (f *restoredFile) rewrite() (err error) {
	temp := f.path + compactSuffix
	defer os.Remove(temp)
	if err := createEmpty(temp); err != nil {
		return err
	}
	next, err := bolt.Open(temp, 0o600, (&Options{NoSync: true}).bolt(0))
	if err != nil {
		return err
	}
	old := f.db
	f.db = nil // closed before the new file gets its name: Windows renames no open file, and none over one
	err = bolt.Compact(next, old, batchBytes)
	err = errors.Join(err, next.Sync(), next.Close(), old.Close())
	if err == nil {
		err = os.Rename(temp, f.path)
	}
	return err
}

func (f *restoredFile) close() (err error) {
	err = f.rollback()
	if f.db != nil {
		err = errors.Join(err, f.db.Close())
	}
	if f.keys != nil {
		err = errors.Join(err, f.keys.Close())
	}
	return err
}
