package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// What Repair takes over from each bucket.

// bktOrphans holds, while a file is repaired, records that no id leads to.
var bktOrphans = []byte("orphans")

func (r *repairer) values() error {
	return r.old.all(bktValues, func(k, v []byte) error {
		if err := validValue(k, v); err != nil {
			r.lost("%v", err)
			return nil
		}
		r.report.Values++
		return r.put(bktValues, k, v)
	})
}

func (r *repairer) banks() error {
	return r.old.all(bktBanks, func(k, v []byte) error {
		info, err := validBank(k, v)
		if err != nil {
			r.lost("%v", err)
			return nil
		}
		r.report.Banks++
		r.now.nextBank = max(r.now.nextBank, uint64(info.Ref)+1)
		return r.registered(bktBanks, kindBank, info.Digest, k, v)
	})
}

func (r *repairer) heads() error {
	return r.old.all(bktHeads, func(k, v []byte) error {
		digest, err := validHead(k, v)
		if err != nil {
			r.lost("%v", err)
			return nil
		}
		r.report.Heads++
		r.now.nextHead = max(r.now.nextHead, uint64(binary.BigEndian.Uint32(k))+1)
		return r.registered(bktHeads, kindHead, digest, k, v)
	})
}

// registered writes a bank or head, and its digest.
func (r *repairer) registered(bucket []byte, kind byte, d Digest, ref, value []byte) error {
	if err := r.put(bucket, ref, value); err != nil {
		return err
	}
	return r.put(bktDigests, digestKey(kind, d), ref)
}

func (r *repairer) names() error {
	return r.old.all(bktNames, func(k, v []byte) error {
		ref, err := validHeadName(k, v)
		if err != nil || r.tx.Bucket(bktHeads).Get(key32(ref)) == nil {
			r.lost("head name %q: damaged, or its head is lost", k)
			return nil
		}
		r.report.Names++
		return r.put(bktNames, k, v)
	})
}

// stagedNumbers notes the numbers of an import that was not committed: nobody
// has seen these profiles.
func (r *repairer) stagedNumbers() error {
	inner, err := r.old.inner(bktStaging)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{bktMerge, bktIDs} {
		b, ok := inner[string(name)]
		if !ok {
			continue
		}
		err := r.old.allOf(b, func(_, v []byte) error {
			if n, err := number(v); err == nil {
				r.staged.Add(n)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ids takes over what ids lead to, those of a committed import last. Whether
// that is so the records will say.
func (r *repairer) ids() error {
	for _, name := range [][]byte{bktIDs, bktMerge} {
		err := r.old.all(name, func(k, v []byte) error {
			if n, err := number(v); err == nil && n != 0 {
				return r.put(bktIDs, k, v)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// profiles takes over the records that their ids lead to, and keeps the others
// apart.
func (r *repairer) profiles() error {
	if _, err := r.tx.CreateBucket(bktOrphans); err != nil {
		return err
	}
	return r.old.all(bktProfiles, func(k, v []byte) error {
		n, err := number(k)
		if err != nil || n == 0 || r.staged.Contains(n) || r.accepted.Contains(n) {
			return nil
		}
		if int64(n) > r.old.end/elementSize { // each lower one would be in the file too
			r.lost("record of number %d: there cannot be so many", n)
			return nil
		}
		p, err := r.decode(n, v)
		if err != nil {
			r.lost("record of number %d: %v", n, err)
			return nil
		}
		if !bytes.Equal(r.t.ids.Get(r.t.idKey([]byte(p.ID))), k) {
			return r.put(bktOrphans, k, v)
		}
		return r.accept(p, n, v)
	})
}

// decode reads a record, and says whether what it needs was saved.
func (r *repairer) decode(n uint32, value []byte) (*Profile, error) {
	p, err := r.t.validRecord(key32(n), value)
	if err != nil {
		return nil, err
	}
	switch err := p.overBanks(r.t.bank); {
	case err != nil:
		return nil, fmt.Errorf("profile %q: %w", p.ID, err)
	case p.Head != 0 && r.tx.Bucket(bktHeads).Get(key32(p.Head)) == nil:
		return nil, fmt.Errorf("profile %q: its head %d is lost", p.ID, p.Head)
	}
	return p, nil
}

func (r *repairer) accept(p *Profile, n uint32, value []byte) error {
	r.accepted.Add(n)
	r.report.Profiles++
	r.now.profiles++
	r.now.recordBytes += uint64(len(value))
	r.now.maskBytes += uint64(p.MaskBytes())
	r.now.nextNumber = max(r.now.nextNumber, uint64(n)+1)
	if r.meta.Keys == "" {
		cohorts, _ := r.rules.of(&r.t, p) // the head is whole: decode has looked
		r.sets.add(n, cohorts)
	}
	return r.put(bktProfiles, key32(n), value)
}

// orphans takes over the records whose ids were lost. While an import is under
// way they may be of profiles that nobody has seen, or that were replaced:
// then they are lost.
func (r *repairer) orphans() error {
	limit := max(r.before.nextNumber, r.now.nextNumber)
	importing := r.old.has(bktStaging) || r.old.has(bktMerge) || staging(r.meta.Schema)
	known := r.before.nextNumber > 0 // how many profiles there were
	c := r.tx.Bucket(bktOrphans).Cursor()
	var keep []uint32
	for k, v := c.First(); k != nil; k, v = c.Next() {
		n := binary.BigEndian.Uint32(k)
		p, err := r.decode(n, v)
		if err != nil {
			return err
		}
		led, lerr := number(r.t.ids.Get(r.t.idKey([]byte(p.ID))))
		taken := lerr == nil && r.accepted.Contains(led)
		if taken && importing { // replaced
			continue
		}
		if taken || importing || uint64(n) >= limit || known && r.now.profiles+uint64(len(keep)) >= r.before.profiles {
			r.lost("record of number %d: no id leads to it, it says that it is %q", n, p.ID)
			continue
		}
		keep = append(keep, n)
		r.accepted.Add(n) // a second one of the same id is lost
		if err := r.tx.Bucket(bktIDs).Put(r.t.idKey([]byte(p.ID)), key32(n)); err != nil {
			return err
		}
	}
	for _, n := range keep {
		value := bytes.Clone(r.tx.Bucket(bktOrphans).Get(key32(n)))
		p, err := r.decode(n, value)
		if err != nil {
			return err
		}
		if err := r.accept(p, n, value); err != nil {
			return err
		}
	}
	return r.tx.DeleteBucket(bktOrphans)
}

// lostIDs deletes the ids whose records were not saved.
func (r *repairer) lostIDs() error {
	var gone [][]byte
	err := r.t.ids.ForEach(func(k, v []byte) error {
		n := binary.BigEndian.Uint32(v)
		p, err := r.decode(n, r.t.profiles.Get(v))
		if err == nil && bytes.Equal(r.t.idKey([]byte(p.ID)), k) {
			return nil
		}
		if r.t.keys == nil {
			r.lost("profile %q", k)
		} else {
			r.lost("profile of number %d", n)
		}
		gone = append(gone, bytes.Clone(k))
		return nil
	})
	for _, k := range gone {
		if err := r.tx.Bucket(bktIDs).Delete(k); err != nil {
			return err
		}
	}
	return err
}

// freeNumbers says which of those below the next one are free.
func (r *repairer) freeNumbers() error {
	r.now.nextNumber = max(r.now.nextNumber, 1)
	for n := uint64(1); n < r.now.nextNumber; n++ {
		if !r.accepted.Contains(uint32(n)) {
			if err := r.put(bktFree, key32(uint32(n)), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish writes what follows from the rest, and says what the old sums miss.
func (r *repairer) finish() error {
	if err := r.freeNumbers(); err != nil {
		return err
	}
	if r.meta.Keys == "" {
		if err := r.rules.writeAll(r.tx, r.sets); err != nil {
			return err
		}
	}
	found, err := countSums(r.tx)
	if err != nil {
		return err
	}
	r.missed(found)
	if err := r.now.write(r.tx); err != nil {
		return err
	}
	if err := found.write(r.tx); err != nil {
		return err
	}
	tx := r.tx
	r.tx = nil
	return tx.Commit()
}

// missed compares what was saved with what was written once.
func (r *repairer) missed(found sums) {
	if r.meta.Schema <= schemaUnsummedStaging {
		return
	}
	want, err := decodeSums(r.metaValues[string(keySums)])
	if err != nil {
		r.lost("the sums of keys: what else is lost cannot be told")
		return
	}
	for i, name := range summed {
		if bytes.Equal(name, bktFree) || bytes.Equal(name, bktChanges) || found[i].keys >= want[i].keys {
			continue
		}
		r.lost("bucket %q: %d of %d keys are saved", name, found[i].keys, want[i].keys)
	}
}
