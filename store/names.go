package store

import (
	"errors"
	"fmt"
	"slices"
)

// With encryption nothing in the file is in the order of ids, or says them but
// the records themselves.

// pageNames is how many records one transaction reads for their ids.
const pageNames = 4096

// names reads the ids with a prefix, in their order; faults are those of
// records that cannot be read.
func (s *Store) names(prefix string) (ids []string, faults []error, err error) {
	for from := uint64(0); from>>32 == 0; {
		var page []string
		var bad []error
		var next uint64
		err := s.view(func(t *txn) (err error) {
			page, bad, next, err = t.namesFrom(uint32(from), prefix)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		ids, faults, from = append(ids, page...), append(faults, bad...), next
	}
	slices.Sort(ids)
	return slices.Compact(ids), faults, nil
}

// namesFrom reads a page of numbers, and where the next begins.
func (t *txn) namesFrom(from uint32, prefix string) (ids []string, faults []error, next uint64, err error) {
	c, read := t.profiles.Cursor(), 0
	for k, _ := c.Seek(key32(from)); k != nil; k, _ = c.Next() {
		n, err := number(k)
		if err != nil {
			return nil, nil, 0, err
		}
		if read++; read > pageNames {
			return ids, faults, uint64(n), nil
		}
		refs, err := t.refs(n)
		if errors.Is(err, errVanished) {
			return nil, nil, 0, err
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("profile %d: %w", n, err))
			continue
		}
		if !hasPrefix(refs.id, []byte(prefix)) {
			continue
		}
		if now, err := t.number(refs.id); err == nil && now == n { // else it is staged by an older version
			ids = append(ids, string(refs.id))
		}
	}
	return ids, faults, 1 << 32, nil
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
	eachPage(yield, func() (page []listed, more bool, err error) {
		now := ids[:min(pageProfiles, len(ids))]
		ids = ids[len(now):]
		err = s.view(func(t *txn) error {
			page = nil
			for _, id := range now {
				p, err := t.profile([]byte(id))
				switch {
				case errors.Is(err, errVanished):
					return err
				case errors.Is(err, ErrNotFound): // deleted meanwhile
				case err != nil || x.fits(t, p):
					page = append(page, listed{p, err})
				}
			}
			return nil
		})
		return page, len(ids) > 0, err
	})
}
