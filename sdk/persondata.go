//go:build cgo

package sdk

import (
	"context"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/store"
)

// PersonData is all that is stored of one person, to be handed out as JSON: what was told, what was learned from it, and what is said of both. Bytes are base64, as
// encoding/json writes them.
type PersonData struct {
	ID          string           `json:"id"`
	Created     time.Time        `json:"created"`
	Updated     time.Time        `json:"updated"`
	Private     bool             `json:"private"`
	Waiting     int              `json:"waiting"` // examples that no training has seen
	Prequential Prequential      `json:"prequential"`
	Examples    []PersonExample  `json:"examples"`
	Labels      []string         `json:"labels"` // that its head knows
	Counts      []uint32         `json:"counts"` // of each label, in the prior
	Revisions   []PersonRevision `json:"revisions"`
	State       []byte           `json:"state,omitempty"` // logits, half precision
}

// PersonExample is one text that the profile was told of.
type PersonExample struct {
	Text     string    `json:"text"`
	Pair     string    `json:"pair,omitempty"`
	Label    string    `json:"label,omitempty"`
	Value    *float64  `json:"value,omitempty"`
	Rejected bool      `json:"rejected,omitempty"`
	Weight   float64   `json:"weight"`
	Time     time.Time `json:"time"`
	Learned  bool      `json:"learned"`
	HeldOut  bool      `json:"held_out"`
}

// PersonRevision is one revision, the one that is served first.
type PersonRevision struct {
	Revision uint64       `json:"revision"`
	Updated  time.Time    `json:"updated"`
	Bank     string       `json:"bank"` // digest
	Head     HeadKind     `json:"head"`
	Learned  int          `json:"learned"` // examples that it was learned from
	Before   float32      `json:"before"`  // accuracy on what was held out, before that learning and after
	After    float32      `json:"after"`
	Masks    []PersonMask `json:"masks"`
	Record   []byte       `json:"record"` // as it is stored: docs/format.md
}

// PersonMask is one row: the adapters that it selects.
type PersonMask struct {
	Side     string  `json:"side"`
	Block    int     `json:"block"`
	Adapters []int32 `json:"adapters"`
}

// PersonData collects it. What a warm bank or a head has learned of the person is not in it: nothing says whose it is.
func (p *SDK) PersonData(ctx context.Context, id string) (*PersonData, error) {
	all, err := p.examples(ctx, id) // which checks id and ctx
	if err != nil {
		return nil, err
	}
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	rec, err := p.store.Get(id)
	if err != nil {
		return nil, err
	}
	info, err := p.info(rec)
	if err != nil {
		return nil, err
	}
	d := &PersonData{ID: id, Created: rec.Created, Updated: rec.Updated, Private: info.Private, Waiting: info.Waiting, Prequential: info.Prequential,
		Examples: personExamples(all), Labels: info.Labels, Counts: rec.Prior}
	if d.State, err = p.store.State(id); err != nil {
		return nil, err
	}
	earlier, err := p.store.History(id)
	if err != nil {
		return nil, err
	}
	for _, r := range append([]*store.Profile{rec}, earlier...) {
		rev, err := p.personRevision(r)
		if err != nil {
			return nil, err
		}
		d.Revisions = append(d.Revisions, rev)
	}
	return d, nil
}

func personExamples(all []taught) []PersonExample {
	out := make([]PersonExample, len(all))
	for i, e := range all {
		out[i] = PersonExample{Text: e.Text, Pair: e.Pair, Label: e.Label, Rejected: e.Rejected, Weight: orDefault(e.Weight, 1), Time: e.record.Time,
			Learned: e.record.Known, HeldOut: e.record.Held && !e.Rejected}
		if e.Label == "" {
			out[i].Value = &all[i].Value
		}
	}
	return out
}

func (p *SDK) personRevision(rec *store.Profile) (r PersonRevision, err error) {
	info, err := p.info(rec)
	if err != nil {
		return r, err
	}
	r = PersonRevision{Revision: rec.Revision, Updated: rec.Updated, Bank: info.Bank, Head: info.Head, Learned: int(rec.Examples), Before: rec.Before, After: rec.After}
	for _, side := range []bank.Side{bank.Down, bank.Up} {
		for block := range rec.Mask.Blocks {
			r.Masks = append(r.Masks, PersonMask{side.String(), block, rec.Mask.Indices(side, block, nil)})
		}
	}
	r.Record, err = store.EncodeProfile(rec)
	return r, err
}
