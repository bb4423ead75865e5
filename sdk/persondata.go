package sdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// PersonData is all that is stored of one person, to be handed out as JSON: what was told, what was
// learned from it, and what is said of both. Bytes are base64, as encoding/json writes them. What a
// warm bank or a head has learned of the person is not in it: nothing says whose it is.
type PersonData struct {
	ID          string           `json:"id"`
	Created     time.Time        `json:"created"`
	Updated     time.Time        `json:"updated"`
	Private     bool             `json:"private"`
	Waiting     int              `json:"waiting"` // examples that no training has seen
	Prequential Prequential      `json:"prequential"`
	Examples    []StoredExample  `json:"examples"`
	Labels      []string         `json:"labels"` // that its head knows
	Counts      []uint32         `json:"counts"` // of each label, in the prior
	Revisions   []PersonRevision `json:"revisions"`
	State       []byte           `json:"state,omitempty"` // what the next Learn is judged by: docs/format.md
}

// PersonRevision is one revision, the one that is served first.
type PersonRevision struct {
	Revision uint64    `json:"revision"`
	Updated  time.Time `json:"updated"`
	// Bank is the digest of what the masks, or the digits, choose from; empty: there are none.
	Bank    string `json:"bank"`
	Head    string `json:"head"`    // a HeadKind, or none
	Learned int    `json:"learned"` // examples that it was learned from
	// Before and After are the accuracy on what had not been learned from, before that learning and
	// after it; nil: no number.
	Before *float32     `json:"before"`
	After  *float32     `json:"after"`
	Masks  []PersonMask `json:"masks"`
	Record []byte       `json:"record"` // as it is stored: docs/format.md
}

// PersonMask is one row: the adapters that it selects, or the directions.
type PersonMask struct {
	// down, up, head: a row of digits, or order: the one that orders candidates
	Side     string  `json:"side"`
	Block    int     `json:"block"`           // of down and up
	Label    string  `json:"label,omitempty"` // of head; none: the row is for all labels
	Adapters []int32 `json:"adapters"`        // of head and order: directions, one of each pair
}

// PersonData collects all that is stored of a profile.
func (p *Folder) PersonData(ctx context.Context, id string) (*PersonData, error) {
	leave, err := p.enterToRead(ctx, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	d, err := ReadPersonData(p.store, id)
	if err != nil {
		return nil, err
	}
	d.Private, err = p.private(id) // by its prefix too
	return d, err
}

// ReadPersonData is Folder.PersonData for a program that opens a folder's store alone, without its
// model; Private then does not know of Options.Private.
func ReadPersonData(st *store.Store, id string) (*PersonData, error) {
	rec, err := st.Get(id)
	if err != nil {
		return nil, err
	}
	person, err := st.Person(id)
	if err != nil {
		return nil, err
	}
	d := &PersonData{ID: id, Created: rec.Created, Updated: rec.Updated, Private: person.Private,
		Waiting: person.Waiting, Prequential: prequentialOf(person.Notes), Labels: []string{},
		Counts: append([]uint32{}, rec.Prior...)}
	if d.Examples, err = ReadExamples(st, id); err != nil {
		return nil, err
	}
	if d.State, err = st.State(id); err != nil {
		return nil, err
	}
	earlier, err := st.History(id)
	if err != nil {
		return nil, err
	}
	for i, r := range append([]*store.Profile{rec}, earlier...) {
		kind, labels, err := headOf(st, r)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			d.Labels = append(d.Labels, labels...)
		}
		rev, err := personRevision(st, r, kind, labels)
		if err != nil {
			return nil, err
		}
		d.Revisions = append(d.Revisions, rev)
	}
	return d, nil
}

// headOf says which head a revision has, and which labels that knows.
func headOf(st *store.Store, rec *store.Profile) (kind string, labels []string, err error) {
	h, kind, err := folder.HeadOf(rec, func(ref uint32) (*model.Head, error) {
		data, err := st.Head(ref)
		if err != nil {
			return nil, err
		}
		return folder.DecodeHead(data)
	})
	switch {
	case errors.Is(err, model.ErrHead):
		return "", nil, fmt.Errorf("profile %q: head: %w: %w", rec.ID, ErrCorrupt, err)
	case err != nil:
		return "", nil, fmt.Errorf("profile %q: head: %w", rec.ID, err)
	case h == nil:
		return kind, nil, nil
	}
	return kind, h.Labels, nil
}

func personRevision(st *store.Store, rec *store.Profile, head string, labels []string) (r PersonRevision, err error) {
	r = PersonRevision{Revision: rec.Revision, Updated: rec.Updated, Head: head, Learned: int(rec.Examples),
		Before: folder.Measured(rec.Before), After: folder.Measured(rec.After), Masks: []PersonMask{}}
	ref := rec.Bank
	if c, rows := folder.LabelRows(rec.Codes); c != nil && (rows > 0 || rec.Mask == nil) {
		ref = c.Bank
	}
	if ref != 0 {
		info, err := st.Bank(ref)
		if err != nil {
			return r, fmt.Errorf("bank %d: %w", ref, err)
		}
		r.Bank = info.Digest.String()
	}
	if err = folder.Masks(st, rec, labels, func(side string, block int, label string, adapters []int32) {
		r.Masks = append(r.Masks, PersonMask{side, block, label, adapters})
	}); err != nil {
		return r, err
	}
	r.Record, err = store.EncodeProfile(rec)
	return r, err
}
