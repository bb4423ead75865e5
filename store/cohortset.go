package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// cohortSets are sets of lower halves of numbers, by their keys in the bucket: the
// cohort, then the upper half that the numbers have in common.
type cohortSets map[string]*roaring.Bitmap

func cohortKey(cohort string, n uint32) []byte {
	return binary.BigEndian.AppendUint16(append(make([]byte, 0, 1+labelHashSize+2), cohort...), uint16(n>>16))
}

func (sets cohortSets) add(n uint32, cohorts []string) {
	for _, c := range cohorts {
		key := string(cohortKey(c, n))
		if sets[key] == nil {
			sets[key] = roaring.New()
		}
		sets[key].Add(n & 0xffff)
	}
}

// write stores the sets, and deletes those that are empty.
func (sets cohortSets) write(w *writeTx, b *bolt.Bucket) error {
	for _, k := range slices.Sorted(maps.Keys(sets)) {
		key, set := []byte(k), sets[k]
		if set.IsEmpty() {
			if err := w.deleteIn(b, key); err != nil {
				return err
			}
			continue
		}
		set.RunOptimize() // the usual set is of all numbers, or of all but a few
		value, err := set.ToBytes()
		if err != nil {
			return err
		}
		if err := w.putIn(b, key, format.Seal(format.TagCohort, key, value)); err != nil {
			return err
		}
	}
	return nil
}

// readCohort decodes a set; no value is the empty one.
func readCohort(key, value []byte) (*roaring.Bitmap, error) {
	set := roaring.New()
	if value == nil {
		return set, nil
	}
	payload, err := format.Unseal(format.TagCohort, key, value)
	if err == nil {
		err = set.UnmarshalBinary(payload)
	}
	if err == nil {
		err = set.Validate()
	}
	if err == nil && (set.IsEmpty() || set.Maximum() > 0xffff) {
		err = errors.New("it has numbers of another set, or none")
	}
	if err != nil {
		return nil, corrupt("%s: %w", cohortName(key), err)
	}
	return set, nil
}

// cohortName says which set a key is of, for messages.
func cohortName(key []byte) string {
	if len(key) < 3 {
		return fmt.Sprintf("cohort %x", key)
	}
	kind, value := cohortKinds[key[0]], key[1:len(key)-2]
	if (key[0] == cohortBank || key[0] == cohortHead) && len(value) == 4 {
		return fmt.Sprintf("cohort of %s %d", kind, binary.BigEndian.Uint32(value))
	}
	return fmt.Sprintf("cohort of %s %x", kind, value)
}

var cohortKinds = map[byte]string{cohortBank: "bank", cohortHead: "head", cohortLabel: "label",
	cohortLearned: "learned"}

// writeAll stores all sets of a file that has none, and which kinds they are of.
func (r *cohortRules) writeAll(tx *bolt.Tx, sets cohortSets) error {
	b, err := tx.CreateBucketIfNotExists(format.Cohorts)
	if err != nil {
		return err
	}
	none := &writeTx{} // the bucket is new, and has no page yet that could be damaged
	return errors.Join(sets.write(none, b), tx.Bucket(format.Meta).Put(format.KeyCohorts, r.mark()))
}

// mark is the value that says which kinds of cohorts a file has.
func (r *cohortRules) mark() []byte {
	labels := byte(0)
	if r.headLabels != nil {
		labels = 1
	}
	return format.Seal(format.TagMeta, format.KeyCohorts, []byte{labels})
}

// kept says whether a file has all cohorts of these rules, and no others. An
// encrypted one has none, nor has one of an older version before it is opened for
// writing.
func (r *cohortRules) kept(tx *bolt.Tx) bool {
	return tx.Bucket(format.Cohorts) != nil && bytes.Equal(tx.Bucket(format.Meta).Get(format.KeyCohorts), r.mark())
}

// cohortSet is a set as the transaction has changed it. One that is damaged makes
// all be made anew: what the transaction has changed is in the records.
func (w *writeTx) cohortSet(key []byte) (set *roaring.Bitmap, err error) {
	if set = w.sets[string(key)]; set != nil {
		return set, nil
	}
	if set, err = readCohort(key, w.Tx.Bucket(format.Cohorts).Get(key)); err != nil {
		w.s.opts.Logger.Warn("making all cohorts anew", "error", err)
		w.sets = nil
		if err := w.s.makeCohorts(w.Tx); err != nil {
			return nil, err
		}
		return w.cohortSet(key)
	}
	if w.sets == nil {
		w.sets = cohortSets{}
	}
	w.sets[string(key)] = set
	return set, nil
}

// leaveAll takes a number out of every set: nothing says any more which it is in.
func (w *writeTx) leaveAll(n uint32) (err error) {
	if w.keys != nil {
		return nil
	}
	high := string(format.Key(n)[:2])
	keys := slices.Collect(maps.Keys(w.sets))
	for k := range w.txn.Bucket(format.Cohorts).all() {
		keys = append(keys, string(k))
	}
	for _, key := range keys {
		if err == nil && len(key) > 2 && key[len(key)-2:] == high {
			err = w.change([]string{key[:len(key)-2]}, nil, n, (*roaring.Bitmap).Remove)
		}
	}
	return err
}
