package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Examples returns the profile's stored examples, oldest first, without those
// over Options.MaxAge.
func (s *Store) Examples(id string) ([]Example, error) {
	return viewedOf(s, id, func(t *txn, n uint32) ([]Example, error) {
		person, err := t.person(n)
		if err != nil {
			return nil, err
		}
		examples, err := t.unexpired(&s.opts, id, n)
		for i, e := range examples {
			examples[i].Known = !person.awaits(e)
		}
		return examples, err
	})
}

// kept is an example as it is stored.
type kept struct {
	Example
	bare bool // of an older file, which has neither key nor flags
}

// eachExample reads the examples under a number, as they are stored. After an
// error it ends.
func (t *txn) eachExample(n uint32) iter.Seq2[kept, error] {
	return func(yield func(kept, error) bool) {
		for k, v := range t.Bucket(format.Examples).of(format.Key(n)) {
			p, err := t.validPair(format.TagExample, false, k, v)
			if !yield(p.example, err) || err != nil {
				return
			}
		}
	}
}

// completed adds to an example of an older file what that does not say.
func (o *Options) completed(id string, k kept) Example {
	e := k.Example
	if k.bare {
		e.Key, e.Held = o.TextKey(e.Text, e.Pair), o.Held(id, e, true)
	}
	return e
}

// expired says whether an example is too old to be kept.
func (o *Options) expired(e Example) bool {
	return o.MaxAge > 0 && !e.Time.IsZero() && time.Since(e.Time) > o.MaxAge
}

// textHash is the default of Options.TextKey.
func textHash(text, pair string) uint64 { return TextHash(text, pair) }

// TextHash is the first 8 bytes of the SHA-256 of texts, each after its length:
// what an Options.TextKey is made of.
func TextHash(parts ...string) uint64 {
	h := sha256.New()
	for _, part := range parts {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))
}

// AppendExamples adds examples to a profile's. One that the profile has
// already, with the same label, becomes its newest and waits for no training
// unless it did before.
func (s *Store) AppendExamples(ctx context.Context, id string, examples []Example) error {
	return s.Beside(ctx, id, Write{Append: examples})
}

func (s *Store) checkExamples(examples []Example) error {
	for i, e := range examples {
		if size := len(e.Text) + len(e.Pair) + len(e.Label); size > s.opts.MaxText {
			return fmt.Errorf("%w: example %d has %d bytes, at most %d", ErrLimit, i, size, s.opts.MaxText)
		}
		if !(e.Weight >= 0 && e.Weight <= math.MaxFloat32) {
			return fmt.Errorf("%w: example %d has the weight %g", ErrLimit, i, e.Weight)
		}
	}
	return nil
}

func (w *writeTx) putExample(n uint32, e Example) error {
	key := format.KeyAt(n, e.Sequence)
	value, err := w.sealed(format.TagExample, n, key, appendExample(nil, e))
	if err != nil {
		return err
	}
	return w.Bucket(format.Examples).insert(key, value)
}

const (
	exampleHeld = 1 << iota
	exampleKnown
	exampleRejected
	exampleWeighted
	exampleFlags = iota
)

// appendExample appends an example's bytes: three strings after their lengths,
// the time, flags, the key of the text, and the weight if it is not 1. Older files
// end after the time.
func appendExample(b []byte, e Example) []byte {
	b = slices.Grow(b, len(e.Text)+len(e.Pair)+len(e.Label)+40)
	b = format.AppendBytes(b, e.Text)
	b = format.AppendBytes(b, e.Pair)
	b = format.AppendBytes(b, e.Label)
	b = binary.AppendVarint(b, format.Micros(e.Time))
	flags := byte(0)
	for i, set := range []bool{e.Held, e.Known, e.Rejected, e.weighted()} {
		if set {
			flags |= 1 << i
		}
	}
	b = binary.LittleEndian.AppendUint64(append(b, flags), e.Key)
	if e.weighted() {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(e.Weight))
	}
	return b
}

// weighted says whether the weight has to be written down.
func (e Example) weighted() bool { return e.Weight != 0 && e.Weight != 1 }

func decodeExample(b []byte) (e kept, err error) {
	d := format.Decoder{B: b}
	e.Text = string(d.Bytes(maxText, "text"))
	e.Pair = string(d.Bytes(maxText, "pair"))
	e.Label = string(d.Bytes(maxText, "label"))
	e.Time = d.Time(d.Varint("time"), "time")
	if e.bare = len(d.B) == 0; !e.bare {
		readExtension(&d, &e.Example)
	}
	return e, d.End()
}

func readExtension(d *format.Decoder, e *Example) {
	head := d.Take(9, "flags and key")
	if d.Err != nil {
		return
	}
	flags := head[0]
	if flags >= 1<<exampleFlags {
		d.Fail("flags %#x of an example", flags)
	}
	e.Held, e.Known, e.Rejected = flags&exampleHeld != 0, flags&exampleKnown != 0, flags&exampleRejected != 0
	e.Key = binary.LittleEndian.Uint64(head[1:])
	if flags&exampleWeighted == 0 {
		return
	}
	if b := d.Take(4, "weight"); d.Err == nil {
		e.Weight = math.Float32frombits(binary.LittleEndian.Uint32(b))
		if !e.weighted() || !(e.Weight > 0 && e.Weight <= math.MaxFloat32) {
			d.Fail("weight %g of an example", e.Weight)
		}
	}
}

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
	maphash.WriteComparable(&h, format.Micros(p.Created))
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
