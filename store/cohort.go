package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// A cohort is the set of the profiles that have one thing in common. The bucket
// cohorts holds their numbers, so that a listing of one cohort reads no record of
// another. The transaction that changes a record changes the sets, and nothing
// else does. An encrypted store has no sets: they would say in the
// clear what its profiles have in common.

// The kinds of cohorts. A cohort is written as its kind and a value.
const (
	cohortBank    = 'b' // u32 ref of a bank: of the mask's, and of each code's
	cohortHead    = 'h' // u32 ref of the shared head
	cohortLabel   = 'l' // the first labelHashSize bytes of the label's SHA-256
	cohortLearned = 't' // 1 of a profile that has learned, 0 of one that was only observed
)

const labelHashSize = 16

func cohortOfRef(kind byte, ref uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte{kind}, ref))
}

func cohortOfLabel(label string) string {
	sum := sha256.Sum256([]byte(label))
	return string(cohortLabel) + string(sum[:labelHashSize])
}

func cohortOfLearned(learned bool) string {
	if learned {
		return string(cohortLearned) + "\x01"
	}
	return string(cohortLearned) + "\x00"
}

type cohortRules struct {
	headLabels func(head []byte) (labels []string, counts []uint32) // nil: there are no cohorts of labels
	shared     sync.Map                                             // digest of a head → cohorts of its labels
}

// of returns the cohorts of a profile in their order. With an error, which is
// that its shared head is damaged or missing, those of labels are left out.
func (r *cohortRules) of(t *txn, p *Profile) (cohorts []string, err error) {
	cohorts = append(cohorts, cohortOfLearned(p.Examples > 0))
	for _, bank := range p.banks() {
		cohorts = append(cohorts, cohortOfRef(cohortBank, bank))
	}
	if p.Head != 0 {
		cohorts = append(cohorts, cohortOfRef(cohortHead, p.Head))
	}
	labels, counts := []string(nil), p.Prior
	switch {
	case r.headLabels == nil:
	case p.Head != 0:
		labels, err = r.ofShared(t, p.Head)
		if len(p.OwnHead) > 0 { // rows beside it: the counts are of both
			rows, _ := r.ofHead(p.OwnHead)
			labels = slices.Concat(labels, rows)
		}
	case len(p.OwnHead) > 0:
		labels, counts = r.ofHead(p.OwnHead)
	}
	for i, label := range labels {
		if i < len(counts) && counts[i] > 0 {
			cohorts = append(cohorts, label)
		}
	}
	slices.Sort(cohorts)
	return slices.Compact(cohorts), err
}

// ofHead returns the cohort of each label of a head, and the labels' counts.
func (r *cohortRules) ofHead(data []byte) (cohorts []string, counts []uint32) {
	labels, counts := r.headLabels(data)
	for _, label := range labels {
		cohorts = append(cohorts, cohortOfLabel(label))
	}
	return cohorts, counts
}

func (r *cohortRules) ofShared(t *txn, ref uint32) ([]string, error) {
	key := format.Key(ref)
	value := t.Tx.Bucket(format.Heads).Get(key)
	if len(value) < sha256.Size {
		return nil, corrupt("head %d: %d bytes", ref, len(value))
	}
	digest := Digest(value[:sha256.Size])
	if known, ok := r.shared.Load(digest); ok {
		return known.([]string), nil
	}
	payload, err := format.Unseal(format.TagHead, key, value)
	if err != nil {
		return nil, err
	}
	cohorts, _ := r.ofHead(payload[sha256.Size:])
	r.shared.Store(digest, cohorts)
	return cohorts, nil
}

// sameCohorts says of two records, without a look at their heads, that they are
// in the same cohorts.
func sameCohorts(a, b *Profile) bool {
	counted := func(x, y uint32) bool { return (x > 0) == (y > 0) }
	return slices.Equal(a.banks(), b.banks()) && a.Head == b.Head && counted(a.Examples, b.Examples) &&
		bytes.Equal(a.OwnHead, b.OwnHead) && slices.EqualFunc(a.Prior, b.Prior, counted)
}

// regroup takes a number out of the cohorts of its old record, and puts it into
// those of its new one; nil is no record. The record is written already.
func (w *writeTx) regroup(n uint32, old, new *Profile) error {
	if w.keys != nil || old != nil && new != nil && sameCohorts(old, new) {
		return nil
	}
	var before, after []string
	if old != nil {
		var err error
		if before, err = w.s.rules.of(&w.txn, old); err != nil {
			before, err = nil, w.leaveAll(n)
		}
		if err != nil {
			return err
		}
	}
	if new != nil {
		after, _ = w.s.rules.of(&w.txn, new) // Check says that its head is damaged
	}
	return errors.Join(
		w.change(before, after, n, (*roaring.Bitmap).Remove),
		w.change(after, before, n, (*roaring.Bitmap).Add))
}

// change adds a number to the cohorts that are not among others, or removes it.
func (w *writeTx) change(cohorts, others []string, n uint32, do func(*roaring.Bitmap, uint32)) error {
	for _, c := range cohorts {
		if _, is := slices.BinarySearch(others, c); is {
			continue
		}
		set, err := w.cohortSet(cohortKey(c, n))
		if err != nil {
			return err
		}
		do(set, n&0xffff)
	}
	return nil
}

func (s *Store) makeCohorts(tx *bolt.Tx) error {
	if tx.Bucket(format.Cohorts) != nil {
		if err := tx.DeleteBucket(format.Cohorts); err != nil {
			return err
		}
	}
	if s.meta.Keys != "" {
		return nil
	}
	t := s.newTxn(tx)
	sets, _, err := s.rules.setsOf(context.Background(), &t) // what cannot be read is left to Check
	return errors.Join(err, s.rules.writeAll(tx, sets))
}

// setsOf makes the sets of all records, and those of the numbers whose record, or
// head, cannot be read.
func (r *cohortRules) setsOf(ctx context.Context, t *txn) (sets, unread cohortSets, err error) {
	sets, unread = cohortSets{}, cohortSets{}
	for k := range t.profiles.all() {
		n, err := format.Number(k)
		if err != nil {
			continue
		}
		var cohorts []string
		p, err := t.decode(n)
		if err == nil {
			cohorts, err = r.of(t, p)
		}
		if sets.add(n, cohorts); err != nil {
			unread.add(n, []string{""})
		}
		if ctx.Err() != nil {
			break
		}
	}
	return sets, unread, ctx.Err()
}
