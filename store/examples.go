package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

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
	if err := d.End(); err != nil {
		return kept{}, err
	}
	return e, nil
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
