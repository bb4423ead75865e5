package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// exportPart is the frames of some hundred profiles, read in one transaction, or of those before
// a bank.
type exportPart struct {
	frames []byte
	bank   *BankInfo // whose file comes after them, if there is to be one
	err    error     // and then nothing follows
}

// pageReader reads the profiles to export, a part ahead of who writes them.
type pageReader struct {
	s      *Store
	o      ExportOptions
	parts  chan exportPart // closed after the last one
	counts bundleCounts    // of all parts, once parts is closed

	ids          []string          // left to read, if o.IDs is given
	from         []byte            // or where to go on; nil: nowhere
	banks, heads map[uint32]uint32 // store's ref → bundle's
}

func newPageReader(s *Store, o ExportOptions) (r *pageReader, err error) {
	r = &pageReader{s: s, o: o, parts: make(chan exportPart, 1), banks: map[uint32]uint32{}, heads: map[uint32]uint32{}}
	switch {
	case o.IDs != nil:
		r.ids = slices.Compact(slices.Sorted(slices.Values(o.IDs)))
	case s.keys != nil:
		var faults []error
		if r.ids, faults, err = s.names(o.Prefix); err == nil && len(faults) > 0 {
			err = faults[0]
		}
	default:
		r.from = []byte(o.Prefix)
	}
	return r, err
}

// run sends all pages, or those up to an error, unless ctx ends first.
func (r *pageReader) run(ctx context.Context) {
	defer close(r.parts)
	read := r.readRange
	if r.o.IDs != nil || r.s.keys != nil {
		read = r.readIDs
	}
	for size := 0; len(r.ids) > 0 || r.from != nil; {
		w := &pageWriter{} // of a store that is closed
		ids, from, counts, banks, heads := r.ids, r.from, r.counts, uint32(len(r.banks)), uint32(len(r.heads))
		err := r.s.view(func(t *txn) error {
			r.ids, r.from, r.counts = ids, from, counts // with encryption it may have to be done twice
			maps.DeleteFunc(r.banks, func(_, ref uint32) bool { return ref > banks })
			maps.DeleteFunc(r.heads, func(_, ref uint32) bool { return ref > heads })
			w = &pageWriter{r: r, frames: make([]byte, 0, size), txn: t, records: t.profiles.Cursor(),
				people:   beside{c: t.Bucket(format.People).Cursor()},
				states:   beside{c: t.Bucket(format.State).Cursor()},
				examples: beside{c: t.Bucket(format.Examples).Cursor()}}
			return read(w)
		})
		size = len(w.frames) + len(w.frames)/16
		for _, part := range append(w.parts, exportPart{frames: w.frames, err: err}) {
			select {
			case r.parts <- part:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// readIDs reads the first of the ids, as many as fit a page.
func (r *pageReader) readIDs(w *pageWriter) error {
	for ; len(r.ids) > 0 && !w.full(); r.ids = r.ids[1:] {
		id := []byte(r.ids[0])
		n, err := w.txn.number(id)
		if errors.Is(err, ErrNotFound) && r.o.IDs == nil {
			continue // deleted since it was listed
		}
		if err != nil {
			return err
		}
		if err := w.add(id, n); err != nil {
			return fmt.Errorf("profile %q: %w", id, err)
		}
	}
	return nil
}

// readRange reads profiles from an id on, as many as fit a page.
func (r *pageReader) readRange(w *pageWriter) error {
	from := r.from
	r.from = nil
	for id, n := range w.txn.from(from) {
		if !bytes.HasPrefix(id, []byte(r.o.Prefix)) {
			return nil
		}
		if w.full() {
			r.from = bytes.Clone(id)
			return nil
		}
		if err := w.add(id, n); err != nil {
			return fmt.Errorf("profile %q: %w", id, err)
		}
	}
	return nil
}

type pageWriter struct {
	r        *pageReader
	txn      *txn
	records  *bolt.Cursor
	parts    []exportPart
	frames   []byte // of the part to come
	profiles int
	bytes    int

	people, states, examples beside
}

func (w *pageWriter) full() bool { return w.profiles == pageProfiles || w.bytes >= pageBytes }

func (w *pageWriter) frame(kind byte, payload []byte) {
	w.frames = append(binary.AppendUvarint(append(w.frames, kind), uint64(len(payload))), payload...)
	w.bytes += len(payload)
}

func (w *pageWriter) add(id []byte, n uint32) error {
	key := format.Key(n)
	record, err := w.txn.payload(format.TagRecord, n, key, seekNext(w.records, key))
	if err != nil {
		return err
	}
	refs, err := format.ReadRefs(record)
	if err != nil {
		return err
	}
	if !bytes.Equal(refs.ID, id) {
		return corrupt("it has the record of %q", refs.ID)
	}
	banks := make([]uint32, len(refs.Banks))
	for i, ref := range refs.Banks {
		if banks[i], err = w.ref(format.TagBank, frameBank, w.r.banks, ref); err != nil {
			return err
		}
	}
	head := refs.Head
	if head != 0 {
		if head, err = w.ref(format.TagHead, frameHead, w.r.heads, head); err != nil {
			return err
		}
	}
	if record = refs.Replaced(record, banks, head); len(record) > MaxRecord {
		return fmt.Errorf("%w: record of %d bytes, at most %d", ErrLimit, len(record), MaxRecord)
	}
	w.frame(frameProfile, record)
	w.profiles++
	w.r.counts.profiles++
	var person Person
	examples := w.examples.has(key)
	if examples || w.people.has(key) {
		if person, err = w.txn.person(n); err != nil {
			return err
		}
		// Whoever asks for examples or not: that a profile is private holds wherever it goes.
		known := person
		if known.next, known.learned = 0, 0; !known.plain() {
			w.frame(framePerson, appendPerson(nil, known))
		}
	}
	if w.r.o.State && w.states.has(key) {
		state, err := w.txn.state(n)
		if err != nil {
			return err
		}
		w.frame(frameState, state)
		w.r.counts.states++
	}
	if w.r.o.Examples && examples {
		return w.addExamples(n, string(id), person)
	}
	return nil
}

// beside says of profiles whether a bucket has something of them. Numbers mostly
// ascend, and many profiles have nothing: it seldom has to look.
type beside struct {
	c        *bolt.Cursor // nil: there is no such bucket
	from, to []byte       // there is no key between them; to nil: none after from
}

func (b *beside) has(key []byte) bool {
	if b.c != nil && (b.from == nil || bytes.Compare(key, b.from) < 0 || b.to != nil && bytes.Compare(key, b.to) > 0) {
		b.to, _ = b.c.Seek(key)
		b.from = key
	}
	return bytes.HasPrefix(b.to, key)
}

func (w *pageWriter) addExamples(n uint32, id string, p Person) error {
	opts := &w.r.s.opts
	for k, err := range w.txn.eachExample(n) {
		if err != nil {
			return err
		}
		e := opts.completed(id, k)
		if opts.expired(e) {
			continue
		}
		e.Known = !p.awaits(e)
		w.frame(frameExample, appendExample(nil, e))
		w.r.counts.examples++
	}
	return nil
}

// seekNext returns the value of a key, or nil. Who came in order gets numbers
// in order, and the next record is then where the cursor goes anyway.
func seekNext(c *bolt.Cursor, key []byte) []byte {
	if k, v := c.Next(); bytes.Equal(k, key) {
		return v
	}
	if k, v := c.Seek(key); bytes.Equal(k, key) {
		return v
	}
	return nil
}
