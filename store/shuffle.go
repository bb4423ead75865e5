package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
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
		eachPage(yield, func() (page []listed, more bool, err error) {
			page, order, err = s.shuffledPage(order, x)
			return page, len(order) > 0, err
		})
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
func (s *Store) shuffle(x selection) (order []shuffled, err error) {
	for from := []byte{}; from != nil; {
		var page []shuffled
		var next []byte
		err := s.view(func(t *txn) error {
			page, next = page[:0], nil
			seen := 0
			for key, n := range t.from(from) {
				if seen == pageIDs {
					next = bytes.Clone(key)
					return nil
				}
				if seen++; !x.may(n) {
					continue
				}
				sum := sha256.Sum256(key)
				page = append(page, shuffled{binary.BigEndian.Uint64(sum[:]), n})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		order, from = append(order, page...), next
	}
	slices.SortFunc(order, func(a, b shuffled) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.number, b.number))
	})
	return order, nil
}

// shuffledPage reads the first records, and returns what is left of the order.
func (s *Store) shuffledPage(order []shuffled, x selection) (page []listed, rest []shuffled, err error) {
	err = s.view(func(t *txn) error {
		page, rest = nil, order
		for size := 0; len(rest) > 0 && len(page) < pageProfiles && size < pageBytes; rest = rest[1:] {
			n := rest[0].number
			record := t.profiles.Get(key32(n))
			if record == nil {
				continue // deleted meanwhile
			}
			size += len(record)
			p, err := t.sampled(n, x)
			if errors.Is(err, errVanished) {
				return err
			}
			if p != nil || err != nil {
				page = append(page, listed{p, err})
			}
		}
		return nil
	})
	return page, rest, err
}

// sampled decodes a record; nil if it is not selected, or no id leads to it any
// more.
func (t *txn) sampled(n uint32, x selection) (*Profile, error) {
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
