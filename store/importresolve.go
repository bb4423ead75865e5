package store

import (
	"cmp"
	"fmt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// resolve applies the policy to a record whose id the store has. It returns the record and the key
// to store, or no record if the store's profile stays.
func (m *merger) resolve(w *writeTx, record, key []byte) (_, _ []byte, err error) {
	p, err := DecodeProfile(record)
	if err != nil {
		return nil, nil, err
	}
	switch m.now.policy {
	case Skip:
		m.report.Skipped++
		return nil, nil, nil
	case Overwrite:
		var was *Profile
		if was, err = w.ledTo(key); err == nil {
			p.Revision = max(p.Revision, was.Revision+1)
			m.report.Overwritten++
			if err := w.evict(key, was.Number); err != nil {
				return nil, nil, err
			}
		}
	case Rename:
		id := p.ID
		if p.ID, err = w.freeID(id, m.s.opts.MaxID); err == nil {
			if m.report.Renamed == nil {
				m.report.Renamed = map[string]string{}
			}
			m.report.Renamed[id], key = p.ID, w.idKey([]byte(p.ID))
			m.free = gap{} // one of the bundle's may be the same
		}
	default:
		err = ErrExists
	}
	if err == nil {
		record, err = EncodeProfile(p)
		return record, key, err
	}
	err = fmt.Errorf("profile %q: %w", p.ID, err)
	if !m.begun {
		return nil, nil, err // nothing has happened yet, and nothing does
	}
	m.left = cmp.Or(m.left, err)
	m.report.Skipped++
	return nil, nil, nil
}

// ledTo returns the profile that a key of format.IDs leads to.
func (t *txn) ledTo(key []byte) (*Profile, error) {
	n, err := format.Number(t.ids.Get(key))
	if err != nil {
		return nil, err
	}
	return t.numbered(key, n)
}

// freeID is the first of id-2, id-3, … that the store does not have.
func (t *txn) freeID(id string, limit int) (string, error) {
	for i := 2; ; i++ {
		name := fmt.Sprintf("%s-%d", id, i)
		if t.ids.Get(t.idKey([]byte(name))) == nil {
			return name, format.CheckID(name, limit)
		}
	}
}
