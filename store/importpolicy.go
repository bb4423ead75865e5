package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// admit applies the policy to an id that the store has, as far as it can be
// known before the merge, and returns whether to keep the profile.
func (v *verifier) admit(p *Profile) (bool, error) {
	if has, err := v.has(p.ID); err != nil || !has {
		return true, err
	}
	switch v.o.Policy {
	case Skip:
		return false, nil
	case Overwrite: // the merge has to read its revision
		_, err := v.s.Get(p.ID)
		if errors.Is(err, ErrNotFound) { // deleted meanwhile
			err = nil
		}
		return true, err
	case Rename:
		return true, v.rename(p)
	}
	return false, ErrExists
}

// has says whether an id is the store's, or was given to another profile.
func (v *verifier) has(id string) (has bool, err error) {
	t := txn{keys: v.s.keys}
	key := t.idKey([]byte(id))
	if v.renamed[id] || v.free.has(key) {
		return v.renamed[id], nil
	}
	return viewed(v.s, func(t *txn) (bool, error) { return v.free.seek(t.ids, key) != nil, nil })
}

// rename asks Rename for another id. Without Rename it is found by the merge,
// and this only says whether it would be allowed.
func (v *verifier) rename(p *Profile) error {
	if v.o.Rename == nil {
		return v.s.view(func(t *txn) error {
			_, err := t.freeID(p.ID, v.s.opts.MaxID)
			return err
		})
	}
	name := v.o.Rename(p.ID)
	taken, err := viewed(v.s, func(t *txn) (bool, error) {
		return v.renamed[name] || t.ids.Get(t.idKey([]byte(name))) != nil, nil
	})
	if err == nil && taken {
		err = fmt.Errorf("%w: renamed to %q", ErrExists, name)
	}
	if err = cmp.Or(err, format.CheckID(name, v.s.opts.MaxID)); err != nil {
		return err
	}
	if v.renamed == nil {
		v.renamed, v.report.Renamed = map[string]bool{}, map[string]string{}
	}
	v.renamed[name] = true
	v.report.Renamed[p.ID] = name
	p.ID = name
	return nil
}

// lookAgain goes through the side file once more if an id may be there that was
// not when it was written: under Fail one that another writer has put since the
// revision before, and a name that Rename gave and the bundle has too. It leaves the
// file ready to be read.
func (v *verifier) lookAgain(ctx context.Context, before uint64) error {
	now, err := v.s.Revision()
	if err == nil {
		err = v.side.Rewind()
	}
	if err != nil || (v.o.Policy != Fail || now == before) && len(v.renamed) == 0 {
		return err
	}
	v.free = gap{}
	seen := map[string]bool{}
	for kind := byte(0); kind != frameEnd; {
		var record []byte
		if kind, record, err = v.side.Next(); err != nil {
			return err
		}
		if kind != frameProfile {
			continue
		}
		refs, err := format.ReadRefs(record)
		if err != nil {
			return err
		}
		id := string(refs.ID)
		if v.renamed[id] {
			if seen[id] {
				return fmt.Errorf("%w: renamed to %q, which the bundle has too", ErrExists, id)
			}
			seen[id] = true
		}
		if v.o.Policy == Fail {
			if _, err := v.admit(&Profile{ID: id}); err != nil {
				return errors.Join(ctx.Err(), fmt.Errorf("profile %q: %w", id, err))
			}
		}
	}
	return v.side.Rewind()
}

// gap is a range of keys that a bucket of ids was seen not to have. The ids of a
// bundle ascend: most of them are asked for within one.
type gap struct {
	known    bool
	from, to []byte // excluding both; to nil: no key comes after
}

func (g *gap) has(key []byte) bool {
	return g.known && bytes.Compare(key, g.from) > 0 && (g.to == nil || bytes.Compare(key, g.to) < 0)
}

// seek returns the value of a key, a view, or nil and makes the gap around it.
func (g *gap) seek(ids readBucket, key []byte) []byte {
	k, v := ids.Cursor().Seek(key)
	if bytes.Equal(k, key) {
		return v
	}
	*g = gap{known: true, from: bytes.Clone(key), to: bytes.Clone(k)}
	return nil
}

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
