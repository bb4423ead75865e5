package sdk

import (
	"context"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// newRecord is what a learning's revisions have in common.
func (l *learning) newRecord() *store.Profile {
	rec := &store.Profile{ID: l.id, Head: l.headRef, Examples: uint32(len(l.examples) / l.each)}
	if l.headRef != 0 {
		rec.Prior = l.counts(l.examples)
	}
	if l.old != nil && l.options.DropExamples {
		rec.Examples += l.old.record.Examples
	}
	return rec
}

// priorRecord is what serves where what was learned is worse: the label prior, beside labels of the
// profile's own as their names are.
func (l *learning) priorRecord() (rec *store.Profile, err error) {
	rec = l.newRecord()
	if rec.Bias, err = encodeBias(l.beyond); err != nil {
		return nil, err
	}
	rec.OwnHead, err = l.ownRows(l.head, rec.Prior)
	return rec, err
}

// ownRows are the last rows of a shared head that are the profile's own, as they are stored; nil if
// there are none.
func (l *learning) ownRows(h *model.Head, counts []uint32) ([]byte, error) {
	if l.rows == 0 {
		return nil, nil
	}
	shared := len(h.Labels) - l.rows
	own := h.Rows(shared)
	if l.digits {
		own = l.sdk.narrowed(own)
	}
	own.Counts = counts[shared:]
	return own.MarshalBinary()
}

// commit stores what was learned, or only the examples if the judge kept the old revision. One
// transaction either way. What was trained on and judged waits no more, whatever the judge said.
func (l *learning) commit(ctx context.Context, rec *store.Profile, state []byte, rep *Report) error {
	p, w := l.sdk, l.write(rep)
	served, put := l.reordered(rec, rec.Codes)
	if rep.Installed {
		w.State = state
	} else {
		served, put = l.reordered(l.old.record, l.old.codes)
	}
	var err error
	if rep.Installed || put || l.erase { // examples are erased together with a revision
		_, err = p.store.Put(ctx, served, w)
	} else {
		err = p.store.Beside(ctx, l.id, w)
	}
	if err != nil {
		return err
	}
	return l.installed(rep)
}

// installed says what is served now in the report.
func (l *learning) installed(rep *Report) error {
	p := l.sdk
	now, err := p.snapshot(l.id)
	if err != nil {
		return err
	}
	if l.old != nil && l.old.key != now.key {
		p.cache.drop(l.old.key)
	}
	person, err := p.store.Person(l.id)
	if err != nil {
		return err
	}
	rep.Waiting = person.Waiting
	rep.Revision = now.revision
	rep.MaskBytes = now.record.MaskBytes()
	rep.Bytes, err = recordBytes(now.record)
	return err
}

// write is what is stored beside the record.
func (l *learning) write(rep *Report) store.Write {
	w := store.Write{DropExamples: l.options.DropExamples, IfRevision: new(uint64), Learned: l.through}
	if l.old != nil {
		*w.IfRevision = l.old.revision
	}
	if !w.DropExamples {
		w.Append = l.seen()
	}
	w.DropHistory = l.person.Anew
	l.tally.into(&w)
	note := w.Person
	w.Person = func(person *store.Person) {
		person.Anew = false
		note(person)
		rep.Prequential = prequentialOf(person.Notes)
	}
	return w
}

// seen are the examples that were given now, which a training has seen.
func (l *learning) seen() []store.Example {
	out := slices.Clone(l.fresh)
	for i := range out {
		out[i].Known = true
	}
	return out
}

// recordBytes is the size of a stored record.
func recordBytes(rec *store.Profile) (int, error) {
	data, err := store.EncodeProfile(rec)
	if err != nil {
		return 0, fmt.Errorf("sdk: size of a record: %w", err)
	}
	return len(data), nil
}
