package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/store/internal/format"
)

// Person is what is stored of a profile's person beside the revisions. No
// Rollback changes it.
type Person struct {
	// Private keeps the profile out of all that is made of many.
	Private bool
	// Anew says that an example was taken back: the next training is due, and
	// starts without what the profile has learned.
	Anew bool
	// Notes are the caller's, at most MaxNotes bytes.
	Notes []byte
	// Waiting is how many examples no training has seen. The store counts.
	Waiting int

	next    uint64 // the Sequence of the next example
	learned uint64 // those below it were trained on
}

// MaxNotes is the size limit of Person.Notes.
const MaxNotes = 256

const (
	personPrivate = 1 << iota
	personAnew
	personFlags = iota
)

// plain says whether there is nothing that the defaults do not say.
func (p *Person) plain() bool {
	return !p.Private && !p.Anew && len(p.Notes) == 0 && p.next == 0 && p.learned == 0
}

// appendPerson appends a person's bytes: flags, the next and the first
// untrained sequence, and the notes after their length.
func appendPerson(b []byte, p Person) []byte {
	flags := uint64(0)
	if p.Private {
		flags |= personPrivate
	}
	if p.Anew {
		flags |= personAnew
	}
	return format.AppendBytes(format.AppendUvarints(b, flags, p.next, p.learned), p.Notes)
}

// readPerson reads one of a bundle, where examples come in their order: it says
// nothing of their numbers.
func readPerson(d *format.Decoder) Person {
	p, err := decodePerson(d.B)
	switch {
	case err != nil:
		d.Fail("person: %w", err)
	case p.next != 0:
		d.Fail("person: has a next example")
	case p.plain():
		d.Fail("person: says nothing")
	}
	return p
}

func decodePerson(b []byte) (p Person, err error) {
	d := format.Decoder{B: b}
	flags := d.Uint(1<<personFlags-1, "flags")
	p.Private, p.Anew = flags&personPrivate != 0, flags&personAnew != 0
	p.next = d.Uvarint("next example")
	p.learned = d.Uint(p.next, "first example to train on")
	if notes := d.Bytes(MaxNotes, "notes"); len(notes) > 0 {
		p.Notes = slices.Clone(notes)
	}
	return p, d.End()
}

// Person returns what is stored of a profile's person.
func (s *Store) Person(id string) (Person, error) {
	return viewedOf(s, id, func(t *txn, n uint32) (p Person, err error) {
		if p, err = t.person(n); err != nil {
			return p, err
		}
		w, _, err := t.stored(format.TagWaiting, format.Key(n))
		p.Waiting = w.waiting
		return p, err
	})
}

// person reads what is stored of the person of a number. Of a profile that only
// an older file has written it is derived.
func (t *txn) person(n uint32) (Person, error) {
	if p, ok, err := t.stored(format.TagPerson, format.Key(n)); ok {
		return p.person, err
	}
	p, lost, err := t.derivedPerson(n)
	if err == nil && lost {
		err = corrupt("person of profile %d: it is missing", n)
	}
	return p, err
}

// derivedPerson is what examples and record tell of a person: what came after
// the last revision is untrained. Some was stored and is lost if one of the
// examples is not of an older file.
func (t *txn) derivedPerson(n uint32) (p Person, lost bool, err error) {
	var seen func(Example) bool
	for e, err := range t.eachExample(n) {
		if err == nil && seen == nil {
			var record *Profile
			record, err = t.decode(n)
			seen = hindsight(record)
		}
		if err != nil {
			return Person{}, false, err
		}
		p.next = e.Sequence + 1
		lost = lost || !e.bare
		if e.Known || e.bare && seen(e.Example) {
			p.learned = p.next
		}
	}
	return p, lost, nil
}

// hindsight tells what a revision had learned from, of examples that say
// nothing of it: those that are not younger, and of these the oldest, as many
// texts as the revision counts. What came while it learned was stored before it, too.
// It must be asked of each example in turn, the oldest first.
func hindsight(revision *Profile) (seen func(e Example) bool) {
	texts := map[[2]string]bool{}
	return func(e Example) bool {
		texts[[2]string{e.Text, e.Pair}] = true
		return len(texts) <= int(revision.Examples) && !e.Time.After(revision.Updated)
	}
}

func waitingValue(n uint32, count int, anew bool) []byte {
	v := uint64(count) << 1
	if anew {
		v |= 1
	}
	return format.Seal(format.TagWaiting, format.Key(n), binary.AppendUvarint(nil, v))
}

func (w *writeTx) setPerson(n uint32, p Person) error {
	key := format.Key(n)
	if len(p.Notes) > MaxNotes {
		return fmt.Errorf("%w: notes of %d bytes, at most %d", ErrLimit, len(p.Notes), MaxNotes)
	}
	if p.plain() {
		return w.Bucket(format.People).discard(key)
	}
	value, err := w.sealed(format.TagPerson, n, key, appendPerson(nil, p))
	if err != nil {
		return err
	}
	return w.Bucket(format.People).put(key, value)
}

// Waiting is a profile with examples that no training has seen, or one that is
// due because an example was taken back.
type Waiting struct {
	ID       string
	Examples int // that wait
	Anew     bool
	Learned  int // what the profile has learned from
}

// Waiting lists the profiles whose examples wait, in no order. It reads
// nothing of the others. A profile that cannot be read is left out.
func (s *Store) Waiting(ctx context.Context) ([]Waiting, error) {
	return viewedPages(s, format.Waiting, pageProfiles, func(t *txn, k, v []byte) (one Waiting, ok bool, err error) {
		one, ok, err = t.waitingOf(k, v)
		return one, ok, cmp.Or(err, ctx.Err())
	})
}

func (t *txn) waitingOf(k, v []byte) (one Waiting, ok bool, err error) {
	w, err := t.validPair(format.TagWaiting, false, k, v)
	if err != nil {
		return one, false, err
	}
	p, err := t.decode(w.n)
	if errors.Is(err, errVanished) {
		return one, false, err
	}
	if err != nil {
		return one, false, nil
	}
	led, err := t.number([]byte(p.ID)) // else it is staged by an older version
	return Waiting{p.ID, w.waiting, w.anew, int(p.Examples)}, err == nil && led == w.n, nil
}
