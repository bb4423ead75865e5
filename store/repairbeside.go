package store

import "encoding/binary"

// What Repair takes over beside the records of profiles that are saved.

// owner says whether a key begins with the number of a saved profile; what is
// of staged ones is not missed.
func (r *repairer) owner(k []byte, size int) (n uint32, ok bool) {
	if len(k) != size {
		return 0, false
	}
	n = binary.BigEndian.Uint32(k)
	return n, r.accepted.Contains(n)
}

func (r *repairer) states() error {
	return r.old.all(bktState, func(k, v []byte) error {
		n, ok := r.owner(k, 4)
		if !ok {
			return nil
		}
		if err := r.t.validState(k, v); err != nil {
			r.lost("state of profile %d: %v", n, err)
			return nil
		}
		r.report.States++
		return r.put(bktState, k, v)
	})
}

func (r *repairer) history() error {
	return r.old.all(bktHistory, func(k, v []byte) error {
		n, ok := r.owner(k, 12)
		if !ok {
			return nil
		}
		p, err := r.t.validEarlier(k, v)
		if err == nil {
			var now *Profile
			if now, err = r.t.decode(n); err != nil {
				return err
			}
			if now.ID != p.ID || now.Revision <= p.Revision {
				err = corrupt("revision %d of %q", p.Revision, p.ID)
			}
		}
		if err != nil {
			r.lost("revision %d of profile %d: %v", binary.BigEndian.Uint64(k[4:]), n, err)
			return nil
		}
		r.report.Revisions++
		return r.put(bktHistory, k, v)
	})
}

// examples takes over those that are whole, whatever order damaged pages give
// them in.
func (r *repairer) examples() error {
	return r.old.all(bktExamples, func(k, v []byte) error {
		n, ok := r.owner(k, 12)
		if !ok || r.tx.Bucket(bktExamples).Get(k) != nil { // two pages may have it
			return nil
		}
		if _, err := r.t.validExample(k, v); err != nil {
			r.lost("example %d of profile %d: %v", binary.BigEndian.Uint64(k[4:]), n, err)
			return nil
		}
		r.report.Examples++
		r.now.examples++
		return r.put(bktExamples, k, v)
	})
}

// people takes over what is known of persons, and counts anew what waits. Who
// cannot be read any more is private: it may have been said.
func (r *repairer) people() error {
	err := r.old.all(bktPeople, func(k, v []byte) error {
		n, ok := r.owner(k, 4)
		if !ok || r.tx.Bucket(bktPeople).Get(k) != nil {
			return nil
		}
		p, err := r.t.validPerson(k, v)
		if err != nil {
			return r.lostPerson(n, err)
		}
		return r.putPerson(n, p, v)
	})
	if err != nil {
		return err
	}
	for _, n := range r.accepted.ToArray() {
		if r.tx.Bucket(bktPeople).Get(key32(n)) != nil {
			continue
		}
		if _, lost, err := r.t.derivedPerson(n); err != nil {
			return err
		} else if lost {
			if err := r.lostPerson(n, errMissing); err != nil {
				return err
			}
		}
	}
	return nil
}

var errMissing = corrupt("it is missing")

func (r *repairer) lostPerson(n uint32, why error) error {
	r.lost("person of profile %d: %v; it is kept private", n, why)
	p, _, err := r.t.derivedPerson(n)
	if err != nil {
		return err
	}
	p.Private = true
	w := &writeTx{txn: txn{keys: r.t.keys, writing: true}}
	v, err := w.sealed(tagPerson, n, key32(n), appendPerson(nil, p))
	if err != nil {
		return err
	}
	return r.putPerson(n, p, v)
}

func (r *repairer) putPerson(n uint32, p Person, value []byte) error {
	if err := r.put(bktPeople, key32(n), value); err != nil {
		return err
	}
	sh := shelf{person: p}
	for e, err := range r.t.eachExample(n) {
		if err != nil {
			return err
		}
		sh.examples = append(sh.examples, e.Example)
	}
	if count := sh.waiting(); count > 0 || p.Anew {
		return r.put(bktWaiting, key32(n), waitingValue(n, count, p.Anew))
	}
	return nil
}
