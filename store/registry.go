package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/store/internal/format"
)

// The two kinds in format.Digests.
const (
	kindBank = 'b'
	kindHead = 'h'
)

func digestKey(kind byte, d Digest) []byte { return append([]byte{kind}, d[:]...) }

// register returns the ref of a digest. One that is new gets the next ref and
// its value.
func (w *writeTx) register(kind byte, d Digest, payload []byte) (ref uint32, err error) {
	key := digestKey(kind, d)
	if v := w.Bucket(format.Digests).Get(key); v != nil {
		return format.Number(v)
	}
	next, values, tag := &w.tally.NextBank, format.Banks, byte(format.TagBank)
	if kind == kindHead {
		next, values, tag = &w.tally.NextHead, format.Heads, format.TagHead
	}
	if *next > math.MaxUint32 {
		return 0, fmt.Errorf("%w: no refs left", ErrLimit)
	}
	ref = uint32(*next)
	*next++
	value := format.Seal(tag, format.Key(ref), bytes.Clone(payload))
	return ref, errors.Join(w.Bucket(values).insert(format.Key(ref), value),
		w.Bucket(format.Digests).insert(key, format.Key(ref)))
}
