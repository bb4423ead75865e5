package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
)

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

// nameOf reads the id of a record.
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
