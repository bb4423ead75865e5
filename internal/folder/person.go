package folder

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
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
	Learned  bool      `json:"learned"` // a training has seen it
	// shared heads and warm banks are measured on it, and never trained; profiles learn from all
	HeldOut bool `json:"held_out"`
}

// PersonRevision is one revision, the one that is served first.
type PersonRevision struct {
	Revision uint64    `json:"revision"`
	Updated  time.Time `json:"updated"`
	// digest of what the masks, or the digits, choose from; empty: there are none
	Bank    string `json:"bank"`
	Head    string `json:"head"`    // kind
	Learned int    `json:"learned"` // examples that it was learned from
	// accuracy on what had not been learned from, before that learning and after; nil: no number
	Before *float32     `json:"before"`
	After  *float32     `json:"after"`
	Masks  []PersonMask `json:"masks"`
	Record []byte       `json:"record"` // as it is stored: docs/format.md
}

// PersonMask is one row: the adapters that it selects, or the directions.
type PersonMask struct {
	Side     string  `json:"side"`            // down, up, or head: a row of digits
	Block    int     `json:"block"`           // of down and up
	Label    string  `json:"label,omitempty"` // of head; none: the row is for all labels
	Adapters []int32 `json:"adapters"`        // of head: directions, one of each pair
}

// Heads says of a revision which kind of head it has, and which labels that knows: what is in a
// head is for others to read.
type Heads func(*store.Profile) (kind string, labels []string, err error)

// Person collects what is stored of a profile.
func Person(st *store.Store, id string, heads Heads) (*PersonData, error) {
	rec, err := st.Get(id)
	if err != nil {
		return nil, err
	}
	person, err := st.Person(id)
	if err != nil {
		return nil, err
	}
	examples, err := PersonExamples(st, id)
	if err != nil {
		return nil, err
	}
	d := &PersonData{ID: id, Created: rec.Created, Updated: rec.Updated, Private: person.Private,
		Waiting:     person.Waiting,
		Prequential: PrequentialOf(person.Notes), Examples: examples, Labels: []string{},
		Counts: append([]uint32{}, rec.Prior...)}
	if d.State, err = st.State(id); err != nil {
		return nil, err
	}
	earlier, err := st.History(id)
	if err != nil {
		return nil, err
	}
	for i, r := range append([]*store.Profile{rec}, earlier...) {
		kind, labels, err := heads(r)
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

// PersonExamples are a profile's examples, oldest first, as they are shown to people: a number has
// no label, and the weight is said.
func PersonExamples(st *store.Store, id string) ([]PersonExample, error) {
	all, err := st.Examples(id)
	if err != nil {
		return nil, err
	}
	out := make([]PersonExample, len(all))
	for i, e := range all {
		out[i] = PersonExample{Text: e.Text, Pair: e.Pair, Label: e.Label, Rejected: e.Rejected, Weight: 1,
			Time:    e.Time,
			Learned: e.Known, HeldOut: e.HeldOut()}
		if e.Weight != 0 {
			out[i].Weight = shortest(e.Weight)
		}
		if v, ok := Number(e.Label); ok {
			out[i].Label, out[i].Value = "", &v
		}
	}
	return out, nil
}

func personRevision(st *store.Store, rec *store.Profile, head string, labels []string) (r PersonRevision, err error) {
	r = PersonRevision{Revision: rec.Revision, Updated: rec.Updated, Head: head, Learned: int(rec.Examples),
		Before: finite(rec.Before), After: finite(rec.After)}
	ref := rec.Bank
	for _, c := range rec.Codes {
		ref = c.Bank
	}
	if ref != 0 {
		info, err := st.Bank(ref)
		if err != nil {
			return r, fmt.Errorf("bank %d: %w", ref, err)
		}
		r.Bank = info.Digest.String()
	}
	if r.Masks, err = Masks(st, rec, labels); err != nil {
		return r, err
	}
	r.Record, err = store.EncodeProfile(rec)
	return r, err
}

// Masks are a profile's rows: those of its masks, then those of its digits, whose labels are its
// head's. Along joint axes there is one for all labels.
func Masks(st *store.Store, rec *store.Profile, labels []string) ([]PersonMask, error) {
	rows := []PersonMask{}
	if m := rec.Mask; m != nil {
		for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
			for block := range m.Blocks {
				rows = append(rows, PersonMask{Side: side.String(), Block: block,
					Adapters: m.Indices(side, block, nil)})
			}
		}
	}
	for _, c := range rec.Codes {
		joint, err := isJoint(st, c.Bank)
		if err != nil {
			return nil, err
		}
		size := len(c.Rows) / max(1, len(c.Labels))
		for i, label := range c.Labels {
			row, err := bitmask.PairRow(c.Rows[i*size:(i+1)*size], c.K)
			if err == nil && int(label) >= len(labels) {
				err = fmt.Errorf("a row of label %d, the head has %d labels", label, len(labels))
			}
			if err != nil {
				return nil, fmt.Errorf("profile %q: %w: %w", rec.ID, store.ErrCorrupt, err)
			}
			mask := PersonMask{Side: "head", Label: labels[label], Adapters: row.AppendIndices(nil)}
			if joint {
				mask.Label = ""
			}
			rows = append(rows, mask)
		}
	}
	return rows, nil
}

// isJoint says whether a bank is joint axes.
func isJoint(st *store.Store, ref uint32) (bool, error) {
	info, err := st.Bank(ref)
	if err != nil {
		return false, fmt.Errorf("bank %d: %w", ref, err)
	}
	p, err := Properties(info)
	return err == nil && p.Origin == bank.JointAxes, nil // what is wrong with a bank is for Check to say
}

// finite is nil for what JSON has no number for: a bundle may have brought it.
func finite(v float32) *float32 {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return nil
	}
	return &v
}

// shortest is the number that a person would write: 0.1, not 0.10000000149.
func shortest(v float32) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // it reads what was written
	return f
}
