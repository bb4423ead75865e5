package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Shuffled lists all profiles in the order of a hash of their ids. So those
// that come first are an even sample, whatever the ids look like and in which
// order they came: no prefix, no tenant and no age goes before another. The
// order depends on nothing but the ids; a profile more or less moves no other.
// In an encrypted store the hash is of what an id has for a key, so the order is
// another one, as even and as lasting. It first reads all ids and keeps 16
// bytes for each; then, like [Store.Profiles], it reads a few hundred records
// at a time, and one that cannot be read yields nil and its error. A profile
// that came after the first is not listed. With filters it is of the profiles that
// one of them fits, as of [Store.Profiles].
func (s *Store) Shuffled(of ...Filter) iter.Seq2[*Profile, error] {
	return func(yield func(*Profile, error) bool) {
		x, err := s.selected(of)
		var order []shuffled
		if err == nil {
			order, err = s.shuffle(x)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		eachOf(s, order, func(t *txn, one shuffled) (*Profile, error) { return t.sampled(one.number, x) }, yield)
	}
}

// shuffled is a profile's place.
type shuffled struct {
	hash   uint64
	number uint32
}

// pageIDs is how many ids one transaction reads.
const pageIDs = 1 << 14

// shuffle reads all ids, and puts the profiles that may be selected in order.
func (s *Store) shuffle(x selection) ([]shuffled, error) {
	order, err := viewedPages(s, format.IDs, pageIDs, func(_ *txn, key, v []byte) (one shuffled, ok bool, err error) {
		n, _ := format.Number(v) // 0, which no profile has, if it is corrupt
		sum := sha256.Sum256(key)
		return shuffled{binary.BigEndian.Uint64(sum[:]), n}, x.may(n), nil
	})
	slices.SortFunc(order, func(a, b shuffled) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.number, b.number))
	})
	return order, err
}

// sampled decodes a record; nil if it is not selected, or no id leads to it any
// more.
func (t *txn) sampled(n uint32, x selection) (*Profile, error) {
	if t.profiles.Get(format.Key(n)) == nil {
		return nil, nil // deleted meanwhile
	}
	p, err := t.decode(n)
	if err != nil {
		return nil, fmt.Errorf("profile %d: %w", n, err)
	}
	now, err := t.number([]byte(p.ID))
	if err != nil || now != n || !x.fits(t, p) {
		return nil, nil
	}
	return p, nil
}
