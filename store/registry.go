package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/store/internal/format"
)

// The two kinds in bktDigests.
const (
	kindBank = 'b'
	kindHead = 'h'
)

func digestKey(kind byte, d Digest) []byte { return append([]byte{kind}, d[:]...) }

// register returns the ref of a digest. One that is new gets the next ref and
// its value.
func (w *writeTx) register(kind byte, d Digest, payload []byte) (ref uint32, err error) {
	key := digestKey(kind, d)
	if v := w.Bucket(bktDigests).Get(key); v != nil {
		return number(v)
	}
	next, values, tag := &w.tally.nextBank, bktBanks, byte(tagBank)
	if kind == kindHead {
		next, values, tag = &w.tally.nextHead, bktHeads, tagHead
	}
	if *next > math.MaxUint32 {
		return 0, fmt.Errorf("%w: no refs left", ErrLimit)
	}
	ref = uint32(*next)
	*next++
	value := format.Seal(tag, key32(ref), bytes.Clone(payload))
	return ref, errors.Join(w.Bucket(values).insert(key32(ref), value), w.Bucket(bktDigests).insert(key, key32(ref)))
}
