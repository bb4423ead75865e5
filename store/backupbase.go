package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/format"
)

// base is a backup that others can build on.
type base struct {
	epoch        uint64
	revision     uint64
	digest       Digest          // of its bytes
	banks, heads *roaring.Bitmap // refs
	files        []Digest        // banks whose files it has, or those that it builds on
}

func (b *base) encode() []byte {
	out := binary.AppendUvarint(nil, b.revision)
	out = append(out, b.digest[:]...)
	out = format.AppendBytes(format.AppendBytes(out, encodeSet(b.banks)), encodeSet(b.heads))
	return appendDigests(out, b.files)
}

// encodeSet is a Roaring bitmap in the portable format.
func encodeSet(set *roaring.Bitmap) []byte {
	set.RunOptimize()
	b, _ := set.ToBytes() // fails as a writer does, which is memory
	return b
}

// readSet reads a set after its length.
func readSet(d *format.Decoder, what string) (set *roaring.Bitmap) {
	b := d.Bytes(MaxRecord, what)
	set = roaring.New()
	defer func() {
		if v := recover(); v != nil { // what the package does with bytes of a stranger's is not ours to know
			d.Fail("%s: %v", what, v)
		}
	}()
	if d.Err != nil {
		return set
	}
	n, err := set.ReadFrom(bytes.NewReader(b))
	if err == nil {
		err = set.Validate()
	}
	if err != nil || n != int64(len(b)) {
		d.Fail("%s: %v, %d of %d bytes", what, err, n, len(b))
		return roaring.New()
	}
	return set
}

// keepBase makes the backup that began an epoch one to build on, and forgets
// what only older ones than the last few need.
func (w *writeTx) keepBase(b *base) error {
	changes := w.Bucket(format.Changes)
	key := epochKey(b.epoch)
	if err := changes.put(key, format.Seal(format.TagChanges, key, b.encode())); err != nil {
		return err
	}
	bases, err := w.bases()
	if err != nil || len(bases) <= keptBases {
		return err
	}
	oldest := epochKey(bases[len(bases)-keptBases].epoch)
	var old [][]byte
	for k := range changes.all() {
		if bytes.Compare(k, oldest) >= 0 {
			break
		}
		old = append(old, bytes.Clone(k))
	}
	return changes.removeAll(old)
}

// bases are the backups that others can build on, oldest first.
func (t *txn) bases() (all []*base, err error) {
	for k, v := range t.Bucket(format.Changes).all() {
		if len(k) != 8 {
			continue
		}
		one, err := readBase(k, v)
		if err != nil {
			return nil, err
		}
		if one != nil {
			all = append(all, one)
		}
	}
	return all, nil
}

// readBase reads what is under an epoch, nil if its backup is not whole.
func readBase(k, v []byte) (*base, error) {
	payload, err := format.Unseal(format.TagChanges, k, v)
	if err == nil && len(payload) == 0 {
		return nil, nil
	}
	d := &format.Decoder{B: payload, Err: err}
	b := &base{epoch: binary.BigEndian.Uint64(k), revision: d.Uvarint("revision"), digest: d.Digest("digest")}
	b.banks, b.heads, b.files = readSet(d, "set"), readSet(d, "set"), readDigests(d, "banks")
	if err := d.End(); err != nil {
		return nil, fmt.Errorf("changes %x: %w", k, err)
	}
	return b, nil
}

func (t *txn) base(revision uint64) (*base, error) {
	bases, err := t.bases()
	if err != nil {
		return nil, fmt.Errorf("%w: revision %d: %w", ErrNoBase, revision, err)
	}
	for _, b := range bases {
		if b.revision == revision {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: revision %d", ErrNoBase, revision)
}
