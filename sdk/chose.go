package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/numeric"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

// Choice is a choice among candidates as it is kept, beside the text that they were offered for:
// StoredExample.Text.
type Choice struct {
	Candidates []string `json:"candidates"` // sorted
	Chosen     string   `json:"chosen"`
}

// Chose stores which of two candidates or more a profile's person chose for a text, which may be
// empty, before it returns, and teaches the profile in the background as Observe does: Rank then
// orders candidates for this person. Choices are examples like others: they count in
// Options.Limits.Example and Examples (of a full profile the oldest of what it has most goes
// first), are learned again after a crash, and are covered by ForgetExample, Forget, PersonData,
// ExampleAge, Export and Move. The same candidates for the same text, in whatever order, are one
// choice: the later replaces the earlier. What is learned is installed if it foretells choices
// that it was not learned from better than the order that all have. Labels, and what Predict
// answers, are as they were. Errors are those of Rank; ErrCandidates if chosen is none of the
// candidates, and ErrUnsupported in a folder without axes (Config.Masks).
func (p *Folder) Chose(ctx context.Context, id, text string, candidates []string, chosen string) error {
	leave, err := p.enterToWrite(ofProfile(id, cmp.Or(p.exclusive("Chose"), p.options.Limits.checkID(id))))
	if err != nil {
		return err
	}
	defer leave()
	e, err := p.choice(text, candidates, chosen)
	if err != nil {
		return ofProfile(id, err)
	}
	return ofProfile(id, p.observe(ctx, id, e))
}

// errNoOrder is what choices are to a folder without axes.
var errNoOrder = fmt.Errorf("%w: choices are learned along axes, and the folder's profiles are masks",
	ErrUnsupported)

// choice is a choice as it is stored.
func (p *Folder) choice(text string, candidates []string, chosen string) (e store.Example, err error) {
	if err = p.checkOffer(text, candidates, 2); err != nil {
		return e, err
	}
	if p.axes == nil {
		return e, errNoOrder
	}
	key := p.options.texts.Key(chosen, "")
	at := slices.IndexFunc(candidates, func(c string) bool { return p.options.texts.Key(c, "") == key })
	if at < 0 {
		return e, fmt.Errorf("%w: what was chosen is none of the %d", ErrCandidates, len(candidates))
	}
	if e, err = folder.Choice(text, candidates, candidates[at]); err != nil {
		return e, err
	}
	e.Time = time.Now()
	size := len(e.Text) + len(e.Pair) + len(e.Label)
	return e, over("bytes of a choice", size, "Example", p.options.Limits.Example)
}

// orderHead is the name of the head that says what people choose, whoever they are: its first
// output over φ, and as its bias what a cosine is worth. Outputs behind it are the directions along
// which people's own orders differ. One output alone has no label.
const orderHead = "order"

// sharedOrder is what nobody's own choices have a part in.
func (p *Folder) sharedOrder() (*order, error) {
	ref, err := p.store.HeadByName(orderHead)
	if errors.Is(err, store.ErrNotFound) || err == nil && p.axes == nil {
		return &order{similarity: similarity}, nil
	}
	if err != nil {
		return nil, err
	}
	h, err := p.head(ref)
	if err != nil {
		return nil, err
	}
	if !h.Regression() && h.Labels[0] != orderHead || !p.seesFeatures(h) {
		return nil, fmt.Errorf("%w: a head of %d labels over %d values orders candidates", ErrCorrupt, len(h.Labels),
			h.Hidden)
	}
	D, o := h.Hidden, &order{similarity: float64(h.B[0]), w: h.W[:h.Hidden]}
	for at := D; at < len(h.W); at += D {
		o.directions = append(o.directions, numeric.Widen(p.axes.Project(nil, h.W[at:at+D])))
	}
	return o, nil
}

// splitCodes takes the row that orders candidates out of a record's codes.
func splitCodes(codes []store.Code) (labels []store.Code, order *store.Code) {
	for i, c := range codes {
		last := len(c.Labels) - 1
		if last < 0 || c.Labels[last] != folder.RankLabel {
			continue
		}
		size := len(c.Rows) / len(c.Labels)
		order = &store.Code{Bank: c.Bank, K: c.K, Labels: c.Labels[last:], Rows: c.Rows[last*size:],
			Scales: c.Scales[last:]}
		labels = slices.Delete(slices.Clone(codes), i, i+1)
		if last > 0 {
			c.Labels, c.Rows, c.Scales = c.Labels[:last:last], c.Rows[:last*size:last*size], c.Scales[:last:last]
			labels = slices.Insert(labels, i, c)
		}
		return labels, order
	}
	return codes, nil
}

// joinCodes is the way back.
func joinCodes(labels []store.Code, order *store.Code) []store.Code {
	if order == nil {
		return labels
	}
	out := slices.Clone(labels)
	for i, c := range out {
		if c.Bank == order.Bank {
			out[i].Labels = slices.Concat(c.Labels, order.Labels)
			out[i].Rows, out[i].Scales = slices.Concat(c.Rows, order.Rows), slices.Concat(c.Scales, order.Scales)
			return out
		}
	}
	return append(out, *order)
}
