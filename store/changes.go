package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// What a backup since an earlier one is made by. Each backup begins an epoch,
// and from then on every transaction notes the numbers whose records, or what
// lies beside them, it writes. Without a backup there is no epoch, and nothing
// is noted. A few numbers are in a value of format.Meta, on a page that every
// transaction writes; when they are many they go to format.Changes, a bit each. One
// that is noted already is not again. Under an epoch itself is the backup that
// began it, once it is whole.
//
//	epoch                → nothing yet, or a base
//	epoch, number >> 10  → the bits of 1,024 numbers

const (
	// keptBases is how many backups a later one can build on.
	keptBases = 8
	// maxNotes is how many numbers are in format.Meta: so few that bbolt still has it
	// on the page of the root.
	maxNotes  = 64
	blockBits = 1 << 10
)

// newestEpoch is the one that a transaction notes changes in, 0 if there is none.
func newestEpoch(tx *bolt.Tx) (uint64, error) {
	k, _ := tx.Bucket(format.Changes).Cursor().Last()
	switch len(k) {
	case 0:
		return 0, nil
	case 8, 12:
		return binary.BigEndian.Uint64(k), nil
	}
	return 0, corrupt("changes: key %x", k)
}

// noteChanges notes the numbers that the transaction has written.
func (w *writeTx) noteChanges() error {
	if w.noted == nil || w.noted.IsEmpty() {
		return nil
	}
	notes, err := readNotes(w.Tx)
	if err != nil {
		return err
	}
	before := len(notes)
	w.noted.AndNot(roaring.BitmapOf(notes...))
	for it := w.noted.Iterator(); it.HasNext() && len(notes) <= maxNotes; {
		n := it.Next()
		key := blockKey(w.noting, n)
		bits, err := changedBlock(key, w.Tx.Bucket(format.Changes).Get(key))
		if err != nil {
			return err
		}
		if !bits.has(n) {
			notes = append(notes, n)
		}
	}
	switch {
	case len(notes) == before:
		return nil
	case len(notes) > maxNotes:
		return w.fileNotes(append(notes, w.noted.ToArray()...))
	}
	return w.writeNotes(notes)
}

func readNotes(tx *bolt.Tx) (notes []uint32, err error) {
	v := tx.Bucket(format.Meta).Get(format.KeyNotes)
	if v == nil {
		return nil, nil
	}
	payload, err := format.Unseal(format.TagMeta, format.KeyNotes, v)
	if err == nil && (len(payload)%4 != 0 || len(payload) > 4*maxNotes) {
		err = corrupt("%d bytes", len(payload))
	}
	if err != nil {
		return nil, fmt.Errorf("notes of changes: %w", err)
	}
	for ; len(payload) > 0; payload = payload[4:] {
		notes = append(notes, binary.BigEndian.Uint32(payload))
	}
	return notes, nil
}

func (w *writeTx) writeNotes(notes []uint32) error {
	var b []byte
	for _, n := range notes {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return w.Tx.Bucket(format.Meta).Put(format.KeyNotes, format.Seal(format.TagMeta, format.KeyNotes, b))
}

// fileNotes sets the bits of numbers, and leaves no notes.
func (w *writeTx) fileNotes(notes []uint32) error {
	changes := w.Bucket(format.Changes)
	slices.Sort(notes)
	for len(notes) > 0 {
		key := blockKey(w.noting, notes[0])
		bits, err := changedBlock(key, changes.Get(key))
		if err != nil {
			return err
		}
		for block := notes[0] / blockBits; len(notes) > 0 && notes[0]/blockBits == block; notes = notes[1:] {
			bits.set(notes[0])
		}
		if err := changes.put(key, format.Seal(format.TagChanges, key, bits[:])); err != nil {
			return err
		}
	}
	return w.writeNotes(nil)
}

type block [blockBits / 8]byte

func (b *block) has(n uint32) bool { return b[n%blockBits/8]>>(n%8)&1 != 0 }
func (b *block) set(n uint32)      { b[n%blockBits/8] |= 1 << (n % 8) }

func epochKey(epoch uint64) []byte { return binary.BigEndian.AppendUint64(nil, epoch) }

func blockKey(epoch uint64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(epochKey(epoch), n/blockBits)
}

// changedBlock reads the block under a key, which has none yet if value is nil.
func changedBlock(key, value []byte) (b block, err error) {
	if value == nil {
		return b, nil
	}
	payload, err := format.Unseal(format.TagChanges, key, value)
	if err == nil && len(payload) != len(b) {
		err = corrupt("%d bytes", len(payload))
	}
	if err != nil {
		return b, fmt.Errorf("changes %x: %w", key, err)
	}
	return block(payload), nil
}

// validChanges says what is wrong with a pair of format.Changes.
func validChanges(k, v []byte) (err error) {
	switch len(k) {
	case 8:
		_, err = readBase(k, v)
	case 12:
		_, err = changedBlock(k, v)
	default:
		err = corrupt("changes: key %x", k)
	}
	return err
}

// beginEpoch has later transactions note what they change.
func (w *writeTx) beginEpoch() (epoch uint64, err error) {
	notes, err := readNotes(w.Tx)
	if err == nil && len(notes) > 0 {
		err = w.fileNotes(notes)
	}
	if err != nil {
		return 0, err
	}
	key := epochKey(w.noting + 1)
	return w.noting + 1, w.Bucket(format.Changes).insert(key, format.Seal(format.TagChanges, key, nil))
}

// changedSince are the numbers that were written since a base, some of which
// are not there any more. A block that a damaged page lost would make a backup
// that lacks profiles, so the keys are counted.
func (t *txn) changedSince(b *base) (*roaring.Bitmap, error) {
	notes, err := readNotes(t.Tx)
	if err != nil {
		return nil, err
	}
	changed := roaring.BitmapOf(notes...)
	var found format.Sum
	for k, v := range t.Bucket(format.Changes).all() {
		found.Add(k)
		if len(k) != 12 || binary.BigEndian.Uint64(k) < b.epoch {
			continue
		}
		bits, err := changedBlock(k, v)
		if err != nil {
			return nil, err
		}
		for i := range uint32(blockBits) {
			if bits.has(i) {
				changed.Add(binary.BigEndian.Uint32(k[8:])*blockBits + i)
			}
		}
	}
	sums, err := readSums(t.Tx)
	if err == nil && *sums.Of(format.Changes) != found {
		err = corrupt("changes: %d keys, but %d were written", found.Keys, sums.Of(format.Changes).Keys)
	}
	return changed, err
}
