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

	"github.com/xpeft/xpeft/store/internal/format"
)

// The most that one transaction of a listing reads, so that a slow consumer
// holds up no page of the file.
const (
	pageProfiles = 256
	pageBytes    = 1 << 20
)

// Profiles lists the profiles whose id starts with prefix, in the order of
// ids. It reads a few hundred at a time: a profile that is put or deleted
// meanwhile is listed or not, but each is whole. A record that cannot be read
// yields nil and its error, and the listing goes on. With encryption the
// listing first reads every record, for its id.
//
// With filters it lists those that one of them fits. It then reads the ids and the
// records of these alone, but every record of an encrypted store, and of a file of
// an older version that is opened read-only.
func (s *Store) Profiles(prefix string, of ...Filter) iter.Seq2[*Profile, error] {
	return func(yield func(*Profile, error) bool) {
		x, err := s.selected(of)
		if err != nil {
			yield(nil, err)
			return
		}
		if s.keys != nil {
			s.eachNamed(prefix, x, yield)
			return
		}
		from := []byte(prefix)
		s.paged(yield, func(t *txn) (page []listed, more bool, err error) {
			page, from = t.page(from, []byte(prefix), x)
			return page, from != nil, nil
		})
	}
}

type listed struct {
	profile *Profile
	err     error
}

// paged yields what read returns, a page in a transaction, as long as there is more.
func (s *Store) paged(yield func(*Profile, error) bool, read func(t *txn) (page []listed, more bool, err error)) {
	for more := true; more; {
		var page []listed
		err := s.view(func(t *txn) (err error) {
			page, more, err = read(t)
			return err
		})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, e := range page {
			if !yield(e.profile, e.err) {
				return
			}
		}
	}
}

// eachOf yields what read makes of each of a list, but nil: some hundred in a
// transaction.
func eachOf[T any](s *Store, list []T, read func(t *txn, one T) (*Profile, error), yield func(*Profile, error) bool) {
	s.paged(yield, func(t *txn) (page []listed, more bool, err error) {
		rest := list
		for size := 0; len(rest) > 0 && len(list)-len(rest) < pageProfiles && size < pageBytes; rest = rest[1:] {
			p, err := read(t, rest[0])
			if errors.Is(err, errVanished) {
				return nil, false, err
			}
			if p != nil {
				size += p.MaskBytes() + len(p.OwnHead)
			}
			if p != nil || err != nil {
				page = append(page, listed{p, err})
			}
		}
		list = rest
		return page, len(rest) > 0, nil
	})
}

// page reads profiles from an id on, and returns where the next page starts,
// nil if nowhere.
func (t *txn) page(from, prefix []byte, x selection) (page []listed, next []byte) {
	size, seen := 0, 0
	for id, n := range t.from(from) {
		if !bytes.HasPrefix(id, prefix) {
			break
		}
		if len(page) == pageProfiles || size >= pageBytes || seen == pageIDs {
			return page, bytes.Clone(id)
		}
		if seen++; !x.may(n) {
			continue
		}
		size += len(t.profiles.Get(format.Key(n)))
		if p, err := t.numbered(id, n); err != nil || x.fits(t, p) {
			page = append(page, listed{p, err})
		}
	}
	return page, nil
}

// from lists keys of ids and numbers in the order of the keys.
func (t *txn) from(start []byte) iter.Seq2[[]byte, uint32] {
	return func(yield func([]byte, uint32) bool) {
		defer func() { // errors are named after the transaction; a damaged key may be of any length
			view := t.reading[:min(len(t.reading), maxID)]
			t.reading = nil // if it cannot be read
			t.reading = bytes.Clone(view)
		}()
		for id, v := range t.ids.from(start) {
			t.reading = id
			n, _ := format.Number(v) // 0, which no profile has, if it is corrupt
			if !yield(id, n) {
				return
			}
		}
	}
}

// With encryption nothing in the file is in the order of ids, or says them but
// the records themselves.

// pageNames is how many records one transaction reads for their ids.
const pageNames = 4096

// name is the id of a record, or why it cannot be read.
type name struct {
	id    string
	fault error
}

// names reads the ids with a prefix, in their order; faults are those of
// records that cannot be read.
func (s *Store) names(prefix string) (ids []string, faults []error, err error) {
	all, err := viewedPages(s, format.Profiles, pageNames, func(t *txn, k, _ []byte) (name, bool, error) {
		return t.nameOf(k, prefix)
	})
	for _, one := range all {
		if one.fault != nil {
			faults = append(faults, one.fault)
		} else {
			ids = append(ids, one.id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), faults, err
}

func (t *txn) nameOf(key []byte, prefix string) (one name, ok bool, err error) {
	n, err := format.Number(key)
	if err != nil {
		return one, false, err
	}
	refs, err := t.refs(n)
	switch {
	case errors.Is(err, errVanished):
		return one, false, err
	case err != nil:
		return name{fault: fmt.Errorf("profile %d: %w", n, err)}, true, nil
	case !bytes.HasPrefix(refs.ID, []byte(prefix)):
		return one, false, nil
	}
	now, err := t.number(refs.ID) // else it is staged by an older version
	return name{id: string(refs.ID)}, err == nil && now == n, nil
}

// eachNamed is Profiles with encryption.
func (s *Store) eachNamed(prefix string, x selection, yield func(*Profile, error) bool) {
	ids, faults, err := s.names(prefix)
	if err != nil {
		yield(nil, err)
		return
	}
	for _, fault := range faults {
		if !yield(nil, fault) {
			return
		}
	}
	eachOf(s, ids, func(t *txn, id string) (*Profile, error) {
		p, err := t.profile([]byte(id))
		if errors.Is(err, ErrNotFound) || err == nil && !x.fits(t, p) { // deleted meanwhile, or not selected
			return nil, nil
		}
		return p, err
	}, yield)
}

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
