//go:build cgo

package sdk

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// fault says what no head could learn of an example, "" if nothing.
func (e Example) fault() string {
	if fault := textFault(e.Text, e.Pair); fault != "" {
		return fault
	}
	switch {
	case !(math.Abs(e.Value) <= math.MaxFloat32):
		return "a value that is no finite float32"
	case e.Label != "" && e.Value != 0:
		return "a label and a value"
	case folder.IsNumber(e.Label):
		return "a label that begins with a control byte"
	}
	return ""
}

// fits says why an example cannot be learned with a head.
func (e Example) fits(h *model.Head) error {
	switch {
	case h.Regression() && e.Label != "":
		return fmt.Errorf("%w: label %.40q for a head that gives a number", ErrExample, e.Label)
	case h.Regression():
		return nil
	case e.Label == "":
		return fmt.Errorf("%w: no label", ErrExample)
	}
	if _, ok := h.Label(e.Label); !ok {
		return fmt.Errorf("%w: %.40q is none of the profile's %d labels", ErrUnknownLabel, e.Label, len(h.Labels))
	}
	return nil
}

// fitting are the examples that a head can learn: a profile that changed its labels, or from labels to numbers, has stored others.
func fitting(examples []Example, h *model.Head) (out []Example) {
	for _, e := range examples {
		if e.fits(h) == nil {
			out = append(out, e)
		}
	}
	return out
}

// textKey is what makes two examples one: the later one's label counts.
type textKey struct{ text, pair string }

func (e Example) key() textKey { return textKey{e.Text, e.Pair} }

// latest keeps the last label of a text that is there more than once, in the order of the first.
func latest(examples []Example) []Example {
	at := make(map[textKey]int, len(examples))
	var out []Example
	for _, e := range examples {
		if i, ok := at[e.key()]; ok {
			out[i] = e
			continue
		}
		at[e.key()] = len(out)
		out = append(out, e)
	}
	return out
}

// without leaves out the examples that are stored as they are, so that teaching the same ones again does not push others out of the buffer.
func without(examples, stored []Example) (out []Example) {
	have := make(map[textKey]Example, len(stored))
	for _, e := range stored {
		have[e.key()] = e
	}
	for _, e := range latest(examples) {
		if old, ok := have[e.key()]; !ok || old != e {
			out = append(out, e)
		}
	}
	return out
}

// unchanged are the earlier examples that no later one gives another label.
func unchanged(earlier, later []Example) (out []Example) {
	now := make(map[textKey]Example, len(later))
	for _, e := range later {
		now[e.key()] = e
	}
	for _, e := range latest(earlier) {
		if n, ok := now[e.key()]; !ok || n == e {
			out = append(out, e)
		}
	}
	return out
}

// split2 is a profile's examples, tokenized, in two parts.
type split2 struct {
	train, held []learner.Example
}

// heldOut decides for an example's life, in every revision, whether it is kept back: by a hash of the profile and the texts, not of the label, so that
// a user's second thought about a label cannot leak one into training.
func heldOut(id string, e Example) bool {
	h := sha256.New()
	for _, part := range []string{id, e.Text, e.Pair} {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	return binary.LittleEndian.Uint64(h.Sum(nil))%10 < 3
}

// divide tokenizes and splits examples that fit h.
func (p *SDK) divide(id string, examples []Example, h *model.Head) (s split2) {
	for _, e := range examples {
		x := learner.Example{Target: float32(e.Value)}
		if !h.Regression() {
			x.Class, _ = h.Label(e.Label)
		}
		p.tokenizer.Encode(&x.Text, e.Text, e.Pair, p.maxTokens)
		if heldOut(id, e) {
			s.held = append(s.held, x)
		} else {
			s.train = append(s.train, x)
		}
	}
	return s
}

// count counts the labels; a regressor has one output and no labels to count.
func count(examples []learner.Example, h *model.Head) []uint32 {
	out := make([]uint32, h.Outputs())
	if h.Regression() {
		return out
	}
	for _, e := range examples {
		out[e.Class]++
	}
	return out
}

// countLabels is count of examples that fit a head and need not be tokenized.
func countLabels(examples []Example, h *model.Head) []uint32 {
	out := make([]uint32, len(h.Labels))
	for _, e := range examples {
		c, _ := h.Label(e.Label)
		out[c]++
	}
	return out
}

// relabel turns examples of one head into those of another, by the labels' names. Those with a label that the other does not have are left out.
func relabel(examples []learner.Example, from, to *model.Head) []learner.Example {
	out := make([]learner.Example, 0, len(examples))
	for _, e := range examples {
		if !to.Regression() {
			c, ok := to.Label(from.Labels[e.Class])
			if !ok {
				continue
			}
			e.Class = c
		}
		out = append(out, e)
	}
	return out
}

// stored reads a profile's examples.
func (p *SDK) stored(id string) ([]Example, error) {
	all, _, err := p.storedUntil(id, time.Time{})
	return all, err
}

// storedUntil reads them, oldest first, and says how many were stored at a time or before.
func (p *SDK) storedUntil(id string, t time.Time) (all []Example, until int, err error) {
	recs, err := p.store.Examples(id)
	if err != nil {
		return nil, 0, err
	}
	for until < len(recs) && !recs[until].Time.After(t) {
		until++
	}
	out := make([]Example, len(recs))
	for i, r := range recs {
		out[i] = Example{Text: r.Text, Pair: r.Pair, Label: r.Label}
		if n, ok := folder.Number(r.Label); ok {
			out[i].Label, out[i].Value = "", n
		}
	}
	return out, until, nil
}

func storedExamples(examples []Example) []store.Example {
	out, now := make([]store.Example, len(examples)), time.Now()
	for i, e := range examples {
		out[i] = store.Example{Text: e.Text, Pair: e.Pair, Label: e.Label, Time: now}
		if e.Label == "" {
			out[i].Label = folder.NumberLabel(e.Value)
		}
	}
	return out
}
