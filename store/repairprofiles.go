package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/store/internal/boltpages"

	"github.com/xpeft/xpeft/store/internal/format"
)

// What Repair takes over from each bucket.

func (r *repairer) ofNobody() error {
	return errors.Join(
		r.take(format.TagValue, &r.report.Values),
		r.take(format.TagBank, &r.report.Banks),
		r.take(format.TagHead, &r.report.Heads),
		r.take(format.TagName, &r.report.Names))
}

func (r *repairer) beside() error {
	return errors.Join(
		r.take(format.TagState, &r.report.States),
		r.take(format.TagHistory, &r.report.Revisions),
		r.take(format.TagExample, &r.report.Examples),
		r.take(format.TagPerson, new(int)))
}

// take takes over the pairs of a bucket that are whole, whatever order damaged
// pages give them in. What is of a profile that is not saved is not missed.
func (r *repairer) take(tag byte, count *int) error {
	b := bucketOf(tag)
	return r.old.All(r.old.Buckets[string(b.bucket)], func(k, v []byte) error {
		if format.OfProfiles(b.bucket) && (len(k) < 4 || !r.accepted.Contains(binary.BigEndian.Uint32(k))) {
			return nil
		}
		if r.t.Bucket(b.bucket).Get(k) != nil { // two pages may have it
			return nil
		}
		p, err := r.t.validPair(tag, false, k, v)
		if err == nil {
			err = r.fits(tag, p, k)
		}
		if err != nil {
			if tag != format.TagPerson {
				r.lost("%v", err)
				return nil
			}
			r.private.Add(p.n)
			r.lost("person of profile %d: %v; it is kept private", p.n, err)
			return nil
		}
		*count++
		return r.wrote(r.out.putPair(b, p, k, v))
	})
}

// fits says whether what a whole pair needs was saved.
func (r *repairer) fits(tag byte, p pair, k []byte) error {
	switch tag {
	case format.TagName:
		if r.t.Bucket(format.Heads).Get(format.Key(p.n)) == nil {
			return about(corrupt("its head %d is lost", p.n), tag, k)
		}
	case format.TagHistory:
		now, err := r.t.decode(p.n)
		if err == nil && (now.ID != p.profile.ID || now.Revision <= p.after) {
			err = about(corrupt("of %q", p.profile.ID), tag, k)
		}
		return err
	}
	return nil
}

// stagedNumbers notes the numbers of an import that was not committed: nobody
// has seen these profiles.
func (r *repairer) stagedNumbers() error {
	within, err := r.old.Within(r.old.Buckets[string(format.Staging)])
	for _, name := range [][]byte{format.Merge, format.IDs} {
		err = errors.Join(err, r.old.All(within[string(name)], func(_, v []byte) error {
			if n, err := format.Number(v); err == nil {
				r.staged.Add(n)
			}
			return nil
		}))
	}
	return err
}

// ids takes over what ids lead to, those of a committed import last. Whether
// that is so the records will say.
func (r *repairer) ids() (err error) {
	for _, name := range [][]byte{format.IDs, format.Merge} {
		err = errors.Join(err, r.old.All(r.old.Buckets[string(name)], func(k, v []byte) error {
			if n, err := format.Number(v); err == nil && n != 0 {
				return r.put(format.IDs, k, v)
			}
			return nil
		}))
	}
	return err
}

// profiles takes over the records, and those that ids lead to as profiles.
func (r *repairer) profiles() error {
	return r.old.All(r.old.Buckets[string(format.Profiles)], func(k, v []byte) error {
		n, err := format.Number(k)
		if err != nil || n == 0 || r.staged.Contains(n) || r.t.profiles.Get(k) != nil {
			return nil
		}
		if int64(n) > r.old.End/boltpages.ElementSize { // each lower one would be in the file too
			r.lost("record of number %d: there cannot be so many", n)
			return nil
		}
		p, err := r.t.validPair(format.TagRecord, false, k, v)
		if err == nil {
			if err = r.t.checkRefs(p.profile); err != nil {
				err = fmt.Errorf("profile %q: %w", p.profile.ID, err)
			}
		}
		switch {
		case err != nil:
			r.lost("record of number %d: %v", n, err)
			return nil
		case bytes.Equal(r.t.ids.Get(r.t.idKey([]byte(p.profile.ID))), k):
			r.accept(p.profile)
		default:
			r.orphans.Add(n)
		}
		return r.put(format.Profiles, k, v)
	})
}

func (r *repairer) accept(p *Profile) {
	r.accepted.Add(p.Number)
	r.report.Profiles++
	r.maskBytes += uint64(p.MaskBytes())
}

// adopt keeps the records whose ids were lost. While an import is under way
// they may be of profiles that nobody has seen, or that were replaced: then
// they are lost.
func (r *repairer) adopt() error {
	limit := r.before.NextNumber
	if !r.accepted.IsEmpty() {
		limit = max(limit, uint64(r.accepted.Maximum())+1)
	}
	_, staged := r.old.Buckets[string(format.Staging)]
	_, merging := r.old.Buckets[string(format.Merge)]
	importing := staged || merging || format.MayStage(r.meta.Schema)
	known := r.before.NextNumber > 0 // how many profiles there were
	for _, n := range r.orphans.ToArray() {
		p, err := r.t.decode(n)
		if err != nil {
			return err
		}
		id := r.t.idKey([]byte(p.ID))
		led, err := format.Number(r.t.ids.Get(id))
		taken := err == nil && r.accepted.Contains(led)
		if !taken && !importing && uint64(n) < limit && !(known && uint64(r.report.Profiles) >= r.before.Profiles) {
			r.accept(p)
			err = r.put(format.IDs, id, format.Key(n))
		} else {
			if !(taken && importing) { // else it was replaced
				r.lost("record of number %d: no id leads to it, it says that it is %q", n, p.ID)
			}
			r.out.dropped = true
			err = r.out.tx.Bucket(format.Profiles).Delete(format.Key(n))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lostIDs deletes the ids whose records were not saved.
func (r *repairer) lostIDs() (err error) {
	var gone [][]byte
	for k, v := range r.t.ids.all() {
		n := binary.BigEndian.Uint32(v)
		refs, err := r.t.refs(n)
		if err == nil && r.t.ownedBy(refs.ID, k) == nil {
			continue
		}
		if r.t.keys == nil {
			r.lost("profile %q", k)
		} else {
			r.lost("profile of number %d", n)
		}
		gone = append(gone, bytes.Clone(k))
	}
	for _, k := range gone {
		err = errors.Join(err, r.out.tx.Bucket(format.IDs).Delete(k))
	}
	return err
}

// people counts anew what waits. Who cannot be read any more is private: it may
// have been said.
func (r *repairer) people() error {
	for _, n := range r.accepted.ToArray() {
		p, err := r.t.person(n)
		if err != nil && r.private.CheckedAdd(n) {
			r.lost("%v; it is kept private", err)
		}
		if r.private.Contains(n) {
			if p, err = r.hide(n); err != nil {
				return err
			}
		}
		if r.t.Bucket(format.People).Get(format.Key(n)) == nil {
			continue // of an older file
		}
		count := 0
		for e, err := range r.t.eachExample(n) {
			if err != nil {
				return err
			}
			if p.awaits(e.Example) {
				count++
			}
		}
		if count > 0 || p.Anew {
			if err := r.put(format.Waiting, format.Key(n), waitingValue(n, count, p.Anew)); err != nil {
				return err
			}
		}
	}
	return nil
}

// hide stores what examples tell of a person, and that it is private.
func (r *repairer) hide(n uint32) (Person, error) {
	p, _, err := r.t.derivedPerson(n)
	if err != nil {
		return p, err
	}
	p.Private = true
	v, err := (&writeTx{txn: r.t}).sealed(format.TagPerson, n, format.Key(n), appendPerson(nil, p))
	if err != nil {
		return p, err
	}
	return p, r.put(format.People, format.Key(n), v)
}
