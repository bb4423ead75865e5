package store

import (
	"bytes"
	"errors"
	"iter"

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
		for from := []byte(prefix); from != nil; {
			var page []listed
			if page, from, err = s.page(from, []byte(prefix), x); !yieldAll(page, err, yield) {
				return
			}
		}
	}
}

type listed struct {
	profile *Profile
	err     error
}

// yieldAll yields a page, or why it cannot be read, and says whether to go on.
func yieldAll(page []listed, err error, yield func(*Profile, error) bool) bool {
	if err != nil {
		yield(nil, err)
		return false
	}
	for _, e := range page {
		if !yield(e.profile, e.err) {
			return false
		}
	}
	return true
}

// eachOf yields what read makes of each of a list, but nil: some hundred in a
// transaction.
func eachOf[T any](s *Store, list []T, read func(t *txn, one T) (*Profile, error), yield func(*Profile, error) bool) {
	for len(list) > 0 {
		var page []listed
		rest := list
		err := s.view(func(t *txn) error {
			page, rest = nil, list
			for size := 0; len(rest) > 0 && len(list)-len(rest) < pageProfiles && size < pageBytes; rest = rest[1:] {
				p, err := read(t, rest[0])
				if errors.Is(err, errVanished) {
					return err
				}
				if p != nil {
					size += p.MaskBytes() + len(p.OwnHead)
				}
				if p != nil || err != nil {
					page = append(page, listed{p, err})
				}
			}
			return nil
		})
		if list = rest; !yieldAll(page, err, yield) {
			return
		}
	}
}

// page reads profiles from an id on, and returns where the next page starts,
// nil if nowhere.
func (s *Store) page(from, prefix []byte, x selection) (page []listed, next []byte, err error) {
	err = s.view(func(t *txn) error {
		size, seen := 0, 0
		for id, n := range t.from(from) {
			if !bytes.HasPrefix(id, prefix) {
				return nil
			}
			if len(page) == pageProfiles || size >= pageBytes || seen == pageIDs {
				next = bytes.Clone(id)
				return nil
			}
			if seen++; !x.may(n) {
				continue
			}
			size += len(t.profiles.Get(format.Key(n)))
			if p, err := t.numbered(id, n); err != nil || x.fits(t, p) {
				page = append(page, listed{p, err})
			}
		}
		return nil
	})
	return page, next, err
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
