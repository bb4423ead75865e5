package store

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Get returns the profile with an id, or ErrNotFound.
func (s *Store) Get(id string) (*Profile, error) {
	return viewed(s, func(t *txn) (*Profile, error) { return t.profile([]byte(id)) })
}

// State returns the profile's state, nil if it has none.
func (s *Store) State(id string) ([]byte, error) { return viewedOf(s, id, (*txn).state) }

// state returns a copy of the state under a number, or nil.
func (t *txn) state(n uint32) ([]byte, error) {
	key := key32(n)
	v := t.Bucket(bktState).Get(key)
	if v == nil {
		return nil, nil
	}
	payload, err := t.payload(tagState, n, key, v)
	if err != nil {
		return nil, fmt.Errorf("state of profile %d: %w", n, err)
	}
	return bytes.Clone(payload), nil
}

// History returns the earlier revisions that are kept, newest first.
func (s *Store) History(id string) ([]*Profile, error) {
	ps, err := viewed(s, func(t *txn) ([]*Profile, error) {
		n, err := t.number([]byte(id))
		if err != nil {
			return nil, err
		}
		return t.history(id, n)
	})
	slices.Reverse(ps)
	return ps, err
}

// history returns the earlier revisions under a number, oldest first.
func (t *txn) history(id string, n uint32) (ps []*Profile, err error) {
	for k, v := range t.Bucket(bktHistory).of(key32(n)) {
		p, err := t.validPair(tagHistory, false, k, v)
		if err == nil && p.profile.ID != id {
			err = corrupt("revision %d of %q", p.after, p.profile.ID)
		}
		if err != nil {
			return nil, fmt.Errorf("history of profile %q: %w", id, err)
		}
		ps = append(ps, p.profile)
	}
	return ps, nil
}

// Count is the number of profiles.
func (s *Store) Count() (int, error) {
	tally, err := viewed(s, func(t *txn) (tally, error) { return readTally(t.Tx) })
	return int(tally.profiles), err
}

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
		eachPage(yield, func() (page []listed, more bool, err error) {
			page, from, err = s.page(from, []byte(prefix), x)
			return page, from != nil, err
		})
	}
}

// eachPage yields what next reads, until there is no more.
func eachPage(yield func(*Profile, error) bool, next func() (page []listed, more bool, err error)) {
	for more := true; more; {
		var page []listed
		var err error
		if page, more, err = next(); err != nil {
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
	eachPage(yield, func() (page []listed, more bool, err error) {
		rest := list
		err = s.view(func(t *txn) error {
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
		list = rest
		return page, len(list) > 0, err
	})
}

type listed struct {
	profile *Profile
	err     error
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
			size += len(t.profiles.Get(key32(n)))
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
			n, _ := number(v) // 0, which no profile has, if it is corrupt
			if !yield(id, n) {
				return
			}
		}
	}
}
