package store

import (
	"bytes"
	"encoding/binary"
	"errors"
)

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
		if _, err := r.t.payload(tagState, n, k, v); err != nil {
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
		revision := binary.BigEndian.Uint64(k[4:])
		p, err := r.t.earlier(n, k, v)
		if err == nil {
			var now *Profile
			if now, err = r.t.decode(n); err != nil {
				return err
			}
			if now.ID != p.ID || now.Revision <= p.Revision || p.Revision != revision {
				err = corrupt("revision %d of %q", p.Revision, p.ID)
			}
		}
		if err != nil {
			r.lost("revision %d of profile %d: %v", revision, n, err)
			return nil
		}
		r.report.Revisions++
		return r.put(bktHistory, k, v)
	})
}

// examples takes over those that are whole, whatever order damaged pages give
// them in, and closes the gaps that lost ones leave.
func (r *repairer) examples() error {
	err := r.old.all(bktExamples, func(k, v []byte) error {
		n, ok := r.owner(k, 12)
		if !ok || r.tx.Bucket(bktExamples).Get(k) != nil { // two pages may have it
			return nil
		}
		payload, err := r.t.payload(tagExample, n, k, v)
		if err == nil {
			_, err = decodeExample(payload)
		}
		if err != nil {
			r.lost("example %d of profile %d: %v", binary.BigEndian.Uint64(k[4:]), n, err)
			return nil
		}
		r.report.Examples++
		r.now.examples++
		return r.put(bktExamples, k, v)
	})
	if err != nil {
		return err
	}
	for _, m := range r.gaps() {
		if err := r.move(m.from, m.to); err != nil {
			return err
		}
	}
	return nil
}

// moved is an example's key, and the one that closes a gap.
type moved struct{ from, to []byte }

// gaps finds the examples that come after one.
func (r *repairer) gaps() (moves []moved) {
	var last []byte
	c := r.tx.Bucket(bktExamples).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		to := bytes.Clone(k)
		if last != nil && bytes.Equal(last[:4], k[:4]) {
			binary.BigEndian.PutUint64(to[4:], binary.BigEndian.Uint64(last[4:])+1)
		}
		if !bytes.Equal(to, k) {
			moves = append(moves, moved{bytes.Clone(k), to})
		}
		last = to
	}
	return moves
}

// move gives an example another key, which it is sealed with.
func (r *repairer) move(from, to []byte) error {
	w := &writeTx{txn: txn{keys: r.t.keys, writing: true}}
	n := binary.BigEndian.Uint32(from)
	payload, err := r.t.payload(tagExample, n, from, r.tx.Bucket(bktExamples).Get(from))
	if err != nil {
		return err
	}
	value, err := w.sealed(tagExample, n, to, bytes.Clone(payload))
	if err != nil {
		return err
	}
	return errors.Join(r.put(bktExamples, to, value), r.tx.Bucket(bktExamples).Delete(from))
}
