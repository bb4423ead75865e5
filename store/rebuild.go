package store

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/keyring"
)

// rebuilder makes a store of the pairs of backups. What it refuses it refuses
// also if nothing is written.
type rebuilder struct {
	path   string // empty: nothing is written
	limit  int64
	out    *restoredFile // nil until the first header, and if nothing is written
	header *backupHeader
	keys   []byte // of the first header

	live  *roaring.Bitmap // numbers
	banks map[uint32]BankInfo
	heads *roaring.Bitmap

	// Of the backup that is being read.
	carried *roaring.Bitmap // nil: the frame of sets has not come
	place   int             // in backedUp, of the last pair
	last    []byte          // its key
	pairs   uint64
	led     *roaring.Bitmap // numbers that ids lead to
	records *roaring.Bitmap
	slots   *roaring.Bitmap
	links   uint64 // hashes of each id and number, and of those of each record, together
}

func newRebuilder(path string, limit int64) *rebuilder {
	return &rebuilder{path: path, limit: limit, live: roaring.New(), banks: map[uint32]BankInfo{}, heads: roaring.New()}
}

func (r *rebuilder) sealed() bool { return len(r.keys) > 0 }

func (r *rebuilder) begin(h *backupHeader) error {
	meta, err := decodeMeta(h.meta)
	switch {
	case err != nil:
		return err
	case meta.Keys != "" && len(h.keys) != keyring.HeaderSize, meta.Keys == "" && len(h.keys) > 0:
		return corrupt("%d bytes of a file of keys", len(h.keys))
	case meta.Keys != "":
		if err := keyring.CheckHeader(h.keys, meta.Keys); err != nil {
			return err
		}
	}
	if r.header == nil {
		r.keys = h.keys
	} else if !bytes.Equal(r.keys, h.keys) {
		return corrupt("another file of keys than the backup before")
	}
	r.header, r.carried, r.place, r.last, r.pairs, r.links = h, nil, 0, nil, 0, 0
	r.led, r.records, r.slots = roaring.New(), roaring.New(), roaring.New()
	if r.path == "" {
		return nil
	}
	if r.out == nil {
		var keys io.Reader
		if len(h.keys) > 0 {
			keys = bytes.NewReader(h.keys)
		}
		r.out, err = createRestored(r.path, meta, keys)
		return err
	}
	return r.out.clear(format.Values, format.Names)
}

func (r *rebuilder) take(kind byte, payload []byte) error {
	switch {
	case kind == backupFrameSets && r.carried == nil:
		return r.takeSets(payload)
	case kind == backupFramePairs && r.carried != nil:
		return r.takePairs(payload)
	}
	return corrupt("unexpected frame %d", kind)
}

func (r *rebuilder) takeKeys(io.Reader) error { return corrupt("a file of keys") }

// takeSets drops what is not there any more.
func (r *rebuilder) takeSets(payload []byte) error {
	d := &format.Decoder{B: payload}
	live, carried := readSet(d, "numbers"), readSet(d, "changed numbers")
	if err := d.End(); err != nil {
		return err
	}
	kept := roaring.AndNot(live, carried)
	switch {
	case live.Contains(0):
		return corrupt("number 0")
	case roaring.AndNot(carried, live).GetCardinality() > 0:
		return corrupt("profiles are in it that there are not")
	case roaring.AndNot(kept, r.live).GetCardinality() > 0:
		return corrupt("%d profiles are neither in it nor in those before",
			roaring.AndNot(kept, r.live).GetCardinality())
	// Each number has a place in the file, be it free.
	case !live.IsEmpty() && int64(live.Maximum())*boltpages.ElementSize > r.limit:
		return fmt.Errorf("%w: %d numbers of profiles, at most %d bytes", ErrLimit, live.Maximum(), r.limit)
	}
	gone := roaring.AndNot(r.live, kept)
	r.live, r.carried = live, carried
	if r.out == nil {
		return nil
	}
	return r.out.drop(gone)
}

func (r *rebuilder) takePairs(payload []byte) error {
	if len(payload) == 0 {
		return corrupt("no pairs")
	}
	place := slices.IndexFunc(backedUp, func(b backedUpBucket) bool { return b.tag == payload[0] })
	if place < r.place {
		return corrupt("pairs of bucket %q after %q", payload[0], backedUp[r.place].tag)
	}
	if place > r.place {
		r.place, r.last = place, nil
	}
	for d := (&format.Decoder{B: payload[1:]}); len(d.B) > 0; {
		k, v := d.Bytes(format.MaxKey, "key"), d.Bytes(format.MaxStored, "value")
		if d.Err != nil {
			return d.Err
		}
		if bytes.Compare(k, r.last) <= 0 {
			return corrupt("key %x after %x", k, r.last)
		}
		r.last = append(r.last[:0], k...)
		r.pairs++
		if err := r.pair(place, k, v); err != nil {
			return err
		}
	}
	return nil
}

// pair checks a pair, by itself and beside those that came, and writes it.
func (r *rebuilder) pair(place int, k, v []byte) error {
	b := backedUp[place]
	p, err := (&txn{}).validPair(b.tag, r.sealed(), k, v)
	if err == nil {
		err = r.beside(b.tag, p, k)
	}
	if err != nil || r.out == nil {
		return err
	}
	return r.out.putPair(b, p, k, v)
}

// beside checks a pair beside those that came.
func (r *rebuilder) beside(tag byte, p pair, k []byte) error {
	if (tag == tagKey || format.OfProfiles(bucketOf(tag).bucket)) && !r.carried.Contains(p.n) {
		return corrupt("%c %x: profile %d is not in the backup", tag, k, p.n)
	}
	switch tag {
	case format.TagBank:
		if _, ok := r.banks[p.n]; ok {
			return corrupt("bank %d comes again", p.n)
		}
		r.banks[p.n] = BankInfo{N: p.bank.N, Blocks: p.bank.Blocks}
	case format.TagHead:
		if !r.heads.CheckedAdd(p.n) {
			return corrupt("head %d comes again", p.n)
		}
	case format.TagName:
		if !r.heads.Contains(p.n) {
			return corrupt("head name %q: no head %d", k, p.n)
		}
	case tagID:
		if !r.carried.Contains(p.n) || !r.led.CheckedAdd(p.n) {
			return corrupt("profile %q: number %d is not in the backup, or has another", k, p.n)
		}
		r.links ^= linkOf(k, p.n)
	case tagKey:
		r.slots.Add(p.n)
	case format.TagRecord:
		r.records.Add(p.n)
		if p.profile == nil { // sealed
			return nil
		}
		if err := p.profile.overBanks(bankOf(r.banks)); err != nil {
			return corrupt("profile %q: %v", p.profile.ID, err)
		}
		if head := p.profile.Head; head != 0 && !r.heads.Contains(head) {
			return corrupt("profile %q: no head %d", p.profile.ID, head)
		}
		r.links ^= linkOf([]byte(p.profile.ID), p.n)
	}
	return nil
}

func linkOf(id []byte, n uint32) uint64 { return format.HashKey(append(format.Key(n), id...)) }

// end sees to it that all has come that was to come.
func (r *rebuilder) end() (got backupEnd, err error) {
	if r.carried == nil {
		return got, corrupt("no sets")
	}
	slots := roaring.New()
	if r.sealed() {
		slots = r.carried
	}
	switch {
	case !r.led.Equals(r.carried) || !r.records.Equals(r.carried):
		err = corrupt("%d ids and %d records of %d profiles", r.led.GetCardinality(), r.records.GetCardinality(),
			r.carried.GetCardinality())
	case !r.sealed() && r.links != 0:
		err = corrupt("ids lead to the records of others")
	case !r.slots.Equals(slots):
		err = corrupt("%d keys of %d profiles", r.slots.GetCardinality(), r.carried.GetCardinality())
	}
	return backupEnd{pairs: r.pairs, profiles: r.live.GetCardinality()}, err
}

func (r *rebuilder) finish() error {
	if r.out == nil {
		return nil
	}
	return r.out.finish(r.header, r.live)
}

func (r *rebuilder) close() error {
	if r.out == nil {
		return nil
	}
	return r.out.close()
}
