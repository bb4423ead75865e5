package store

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Get returns the profile with an id, or ErrNotFound.
func (s *Store) Get(id string) (*Profile, error) {
	return viewed(s, func(t *txn) (*Profile, error) { return t.profile([]byte(id)) })
}

// State returns the profile's state, nil if it has none.
func (s *Store) State(id string) ([]byte, error) { return viewedOf(s, id, (*txn).state) }

// state returns a copy of the state under a number, or nil.
func (t *txn) state(n uint32) ([]byte, error) {
	key := format.Key(n)
	v := t.Bucket(format.State).Get(key)
	if v == nil {
		return nil, nil
	}
	payload, err := t.payload(format.TagState, n, key, v)
	if err != nil {
		return nil, fmt.Errorf("state of profile %d: %w", n, err)
	}
	return bytes.Clone(payload), nil
}

// History returns the earlier revisions that are kept, newest first.
func (s *Store) History(id string) ([]*Profile, error) {
	ps, err := viewed(s, func(t *txn) (ps []*Profile, err error) {
		n, err := t.number([]byte(id))
		if err != nil {
			return nil, err
		}
		for k, v := range t.Bucket(format.History).of(format.Key(n)) {
			p, err := t.validPair(format.TagHistory, false, k, v)
			if err == nil && p.profile.ID != id {
				err = corrupt("revision %d of %q", p.after, p.profile.ID)
			}
			if err != nil {
				return nil, fmt.Errorf("history of profile %q: %w", id, err)
			}
			ps = append(ps, p.profile)
		}
		return ps, nil
	})
	slices.Reverse(ps)
	return ps, err
}

// Count is the number of profiles.
func (s *Store) Count() (int, error) {
	tally, err := viewed(s, func(t *txn) (format.Tally, error) { return readTally(t.Tx) })
	return int(tally.Profiles), err
}
