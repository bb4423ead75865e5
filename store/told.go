package store

import (
	"encoding/binary"
	"hash/maphash"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// ExamplesToken stands for one state of a profile's stored examples, while the
// process runs. The zero value is that of no examples.
type ExamplesToken struct {
	sum uint64
	// The sum was made, or found to be the same, in this transaction of this file.
	file        *bolt.DB
	transaction int
}

// Told is a profile's stored examples as GetTold found them.
type Told struct {
	Token    ExamplesToken
	Known    bool      // they are those of the token that was given
	Examples []Example // unless Known: as Examples returns them, but for their Known
}

// tokenSeed makes sums that nobody outside of the process can aim at.
var tokenSeed = maphash.MakeSeed()

// GetTold returns the profile and, in the same transaction, its stored examples,
// unless they are those of a known token.
func (s *Store) GetTold(id string, known ExamplesToken) (p *Profile, told Told, err error) {
	err = s.view(func(t *txn) (err error) {
		if p, err = t.profile([]byte(id)); err != nil {
			return err
		}
		told = Told{Token: ExamplesToken{known.sum, t.DB(), t.ID()}, Known: known.file != nil}
		if told.Token == known {
			return nil // nothing at all was written meanwhile
		}
		if told.Token.sum = t.examplesSum(p); told.Token.sum == 0 {
			told = Told{}
			return nil
		}
		if told.Known = told.Known && told.Token.sum == known.sum; !told.Known {
			told.Examples, err = t.unexpired(&s.opts, id, p.Number)
		}
		return err
	})
	if err != nil {
		return nil, Told{}, err
	}
	return p, told, nil
}

// unexpired reads the examples under a number, but for what a person says of them.
func (t *txn) unexpired(o *Options, id string, n uint32) (examples []Example, err error) {
	for k, err := range t.eachExample(n) {
		if err != nil {
			return nil, err
		}
		if e := o.completed(id, k); !o.expired(e) {
			examples = append(examples, e)
		}
	}
	return examples, nil
}

// examplesSum is a hash over the keys of a profile's examples and the ends of
// their values, 0 if there is none. A key names an example for the life of its
// profile, and the end, of a checksum or of a cipher's tag, tells it from one that had
// its key before: the numbers of erased profiles are given out again.
func (t *txn) examplesSum(p *Profile) uint64 {
	var h maphash.Hash
	h.SetSeed(tokenSeed)
	var created [8]byte
	binary.LittleEndian.PutUint64(created[:], uint64(format.Micros(p.Created)))
	h.Write(created[:])
	var key [4]byte
	some := false
	for k, v := range t.Bucket(format.Examples).of(putKey(&key, p.Number)) {
		h.Write(k)
		h.Write(v[max(0, len(v)-format.SumSize):])
		some = true
	}
	if !some {
		return 0
	}
	return max(h.Sum64(), 1)
}
