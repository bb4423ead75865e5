//go:build cgo

package sdk

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// mostWeight bounds Example.Weight.
const mostWeight = 1000

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
	case e.Label != "" && model.CleanLabel(e.Label) == "":
		return "a label of nothing but white space"
	case !(e.Weight >= 0 && e.Weight <= mostWeight) || e.Weight > 0 && float32(e.Weight) == 0:
		return fmt.Sprintf("a weight of %g, want 0 to %d", e.Weight, mostWeight)
	case e.Rejected && e.Label == "":
		return "a rejection that does not say of which label"
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
		return fmt.Errorf("%w: %.40q is none of the profile's %s", ErrUnknownLabel, e.Label, listed(h.Labels))
	}
	return nil
}

// listed says what labels there are: how many, and the first ten.
func listed(labels []string) string {
	const most = 10
	var names []string
	for _, l := range labels[:min(most, len(labels))] {
		names = append(names, fmt.Sprintf("%.40q", l))
	}
	if len(labels) > most {
		names = append(names, "…")
	}
	return fmt.Sprintf("%d labels: %s", len(labels), strings.Join(names, ", "))
}

// taught is an example as it is stored.
type taught struct {
	Example
	record store.Example
	text   model.Encoding // once it was tokenized
}

func newTaught(r store.Example) taught {
	e := Example{Text: r.Text, Pair: r.Pair, Label: r.Label, Weight: float64(r.Weight), Rejected: r.Rejected}
	if n, ok := folder.Number(r.Label); ok {
		e.Label, e.Value = "", n
	}
	return taught{Example: e, record: r}
}

// taught reads a profile's examples, oldest first.
func (p *SDK) taught(id string) ([]taught, error) {
	recs, err := p.store.Examples(id)
	return allTaught(recs), err
}

func allTaught(recs []store.Example) (out []taught) {
	for _, r := range recs {
		out = append(out, newTaught(r))
	}
	return out
}

// merged is what a profile's examples would be with fresh ones: the store's rules.
func (p *SDK) merged(id string, stored []taught, fresh []Example) []taught {
	recs := make([]store.Example, len(stored))
	for i, e := range stored {
		recs[i] = e.record
	}
	return allTaught(p.store.Merged(id, recs, records(fresh)))
}

// records are examples as the store takes them.
func records(examples []Example) []store.Example {
	out, now := make([]store.Example, len(examples)), time.Now()
	for i, e := range examples {
		out[i] = store.Example{Text: e.Text, Pair: e.Pair, Label: model.CleanLabel(e.Label), Time: now, Rejected: e.Rejected, Weight: float32(e.Weight)}
		if e.Label == "" {
			out[i].Label = folder.NumberLabel(e.Value)
		}
	}
	return out
}

// fitting are the examples that a head can learn: a profile that changed its labels, or from labels to numbers, has stored others.
func fitting(examples []taught, h *model.Head) (out []taught) {
	for _, e := range examples {
		if e.fits(h) == nil {
			out = append(out, e)
		}
	}
	return out
}

// split2 is a profile's examples, tokenized, in two parts.
type split2 struct {
	train, held []learner.Example
}

// tokenize sets the examples' texts.
func (p *SDK) tokenize(examples []taught) []taught {
	for i := range examples {
		e := &examples[i]
		p.tokenizer.Encode(&e.text, e.Text, e.Pair, p.maxTokens)
	}
	return examples
}

// divide splits tokenized examples that fit h.
func divide(examples []taught, h *model.Head) (s split2) {
	for _, e := range examples {
		if x := e.under(h); e.record.HeldOut() {
			s.held = append(s.held, x)
		} else {
			s.train = append(s.train, x)
		}
	}
	return s
}

// under is a tokenized example that fits h as the learner takes it.
func (e taught) under(h *model.Head) learner.Example {
	x := learner.Example{Text: e.text, Target: float32(e.Value), Weight: float32(e.Weight), Rejected: e.Rejected}
	if !h.Regression() {
		x.Class, _ = h.Label(e.Label)
	}
	return x
}

// count counts the labels; a regressor has one output and no labels to count.
func count(examples []learner.Example, h *model.Head) []uint32 {
	out := make([]uint32, h.Outputs())
	if h.Regression() {
		return out
	}
	for _, e := range examples {
		if !e.Rejected {
			out[e.Class]++
		}
	}
	return out
}

// countLabels is count of examples that fit a head and need not be tokenized.
func countLabels(examples []taught, h *model.Head) []uint32 {
	out := make([]uint32, len(h.Labels))
	for _, e := range examples {
		if c, ok := h.Label(e.Label); ok && !e.Rejected {
			out[c]++
		}
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
