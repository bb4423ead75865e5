package store

import (
	"bytes"
	"encoding/binary"
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

// examples closes the gaps that lost ones leave.
func (r *repairer) examples() error {
	w := &writeTx{txn: txn{keys: r.t.keys, writing: true}}
	var last []byte
	return r.old.all(bktExamples, func(k, v []byte) error {
		n, ok := r.owner(k, 12)
		if !ok {
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
		if len(last) == 12 && bytes.Equal(last[:4], k[:4]) {
			k = key32x64(n, binary.BigEndian.Uint64(last[4:])+1)
			if v, err = w.sealed(tagExample, n, k, bytes.Clone(payload)); err != nil {
				return err
			}
		}
		last = k
		r.report.Examples++
		r.now.examples++
		return r.put(bktExamples, k, v)
	})
}
