package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
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
	all, err := viewedPages(s, func(t *txn, from []byte) ([]name, []byte, error) { return t.namesFrom(from, prefix) })
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

// namesFrom reads a page of records, and where the next begins.
func (t *txn) namesFrom(from []byte, prefix string) (page []name, next []byte, err error) {
	read := 0
	for k := range t.profiles.from(from) {
		n, err := number(k)
		if err != nil {
			return nil, nil, err
		}
		if read++; read > pageNames {
			return page, slices.Clone(k), nil
		}
		refs, err := t.refs(n)
		switch {
		case errors.Is(err, errVanished):
			return nil, nil, err
		case err != nil:
			page = append(page, name{fault: fmt.Errorf("profile %d: %w", n, err)})
		case bytes.HasPrefix(refs.id, []byte(prefix)):
			if now, err := t.number(refs.id); err == nil && now == n { // else it is staged by an older version
				page = append(page, name{id: string(refs.id)})
			}
		}
	}
	return page, nil, nil
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
