package sdk

import (
	"fmt"
	"math"
	"strconv"
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
	case e.Labels != nil && (e.Label != "" || e.Value != nil):
		return "labels beside a label or a value"
	case e.Labels != nil && e.Rejected:
		return "a rejection of labels: what a text is not of, its labels say"
	case e.Label == "" && e.Value == nil && e.Labels == nil:
		return "neither a label nor a value"
	case e.Label != "" && e.Value != nil:
		return "a label and a value"
	case e.Value != nil && !(math.Abs(*e.Value) <= math.MaxFloat32):
		return "a value that is no finite float32"
	case folder.Reserved(e.Label):
		return "a label that begins with a control byte"
	case e.Label != "" && model.CleanLabel(e.Label) == "":
		return "a label of nothing but white space"
	case !(e.Weight >= 0 && e.Weight <= mostWeight) || e.Weight > 0 && float32(e.Weight) == 0:
		return fmt.Sprintf("a weight of %g, want 0 to %d", e.Weight, mostWeight)
	case e.Rejected && e.Label == "":
		return "a rejection that does not say of which label"
	}
	seen := map[string]bool{}
	for _, given := range e.Labels {
		l := model.CleanLabel(given)
		if l == "" || folder.Reserved(l) || seen[l] {
			return fmt.Sprintf("label %.40q of its labels is empty, given twice or begins with a control byte", given)
		}
		seen[l] = true
	}
	return ""
}

// fits says why an example cannot be learned with a head.
func fits(e store.Example, h *model.Head) error {
	number := folder.IsNumber(e.Label)
	switch {
	case h.Regression() && !number:
		return fmt.Errorf("%w: label %.40q for a head that gives a number", ErrExample, e.Label)
	case h.Regression():
		return nil
	case number:
		return fmt.Errorf("%w: no label", ErrExample)
	}
	if _, ok := h.Label(e.Label); !ok {
		return fmt.Errorf("%w: %.40q is none of the profile's %s", ErrUnknownLabel, e.Label, listed(h.Labels))
	}
	return nil
}

// takes says why an example has no place in a profile with a head: choices have one in any.
func (p *Folder) takes(e store.Example, h *model.Head) error {
	switch set, ok := folder.ReadLabelSet(e.Label); {
	case folder.IsChoice(e.Label):
		return nil
	case ok && p.options.multi:
		return hasAll(h, set)
	}
	return fits(e, h)
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

// records are examples as the store takes them: a number is a label that nobody can give.
func records(examples []Example) []store.Example {
	out, now := make([]store.Example, len(examples)), time.Now()
	for i, e := range examples {
		out[i] = store.Example{Text: e.Text, Pair: e.Pair, Label: model.CleanLabel(e.Label), Time: now,
			Rejected: e.Rejected, Weight: float32(e.Weight)}
		if e.Value != nil {
			out[i].Label = folder.NumberLabel(*e.Value)
		}
		if e.Labels != nil {
			out[i].Label = folder.LabelSet(cleanLabels(e.Labels))
		}
	}
	return out
}

// stored is a record as its user sees it: a number has no label, and the weight is said.
func stored(r store.Example) StoredExample {
	e := StoredExample{Example: Example{Text: r.Text, Pair: r.Pair, Label: r.Label, Rejected: r.Rejected, Weight: 1},
		Time: r.Time, Learned: r.Known, HeldOut: r.HeldOut()}
	if r.Weight != 0 {
		e.Weight = shortest(r.Weight)
	}
	if v, ok := folder.Number(r.Label); ok {
		e.Label, e.Value = "", &v
	}
	if set, ok := folder.ReadLabelSet(r.Label); ok {
		e.Label, e.Labels = "", set
	}
	if candidates, chosen, ok := folder.ReadChoice(r); ok {
		e.Pair, e.Label, e.Choice = "", "", &Choice{candidates, chosen}
	}
	return e
}

// shortest is the number that a person would write: 0.1, not 0.10000000149.
func shortest(v float32) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64) // it reads what was written
	return f
}

// fitting are the examples that a head can learn: a profile that changed its labels, or from labels
// to numbers, has stored others.
func fitting(examples []store.Example, h *model.Head) (out []store.Example) {
	for _, e := range examples {
		if fits(e, h) == nil {
			out = append(out, e)
		}
	}
	return out
}

// encode tokenizes examples that fit a head.
func (p *Folder) encode(examples []store.Example, h *model.Head) []learner.Example {
	out := make([]learner.Example, len(examples))
	for i, e := range examples {
		x := learner.Example{Weight: e.Weight, Rejected: e.Rejected, Held: e.HeldOut()}
		if h.Regression() {
			n, _ := folder.Number(e.Label)
			x.Target = float32(n)
		} else {
			x.Class, _ = h.Label(e.Label)
		}
		if i > 0 && examples[i-1].Text == e.Text && examples[i-1].Pair == e.Pair {
			x.Text = out[i-1].Text // once for each label: it is only read
		} else {
			p.read(&x.Text, e.Text, e.Pair)
		}
		out[i] = x
	}
	return out
}

// split2 is a profile's examples in two parts.
type split2 struct {
	train, held []learner.Example
	stored      []store.Example // all of them, as they are stored
}

func divide(examples []learner.Example) (s split2) {
	for _, e := range examples {
		if e.Held {
			s.held = append(s.held, e)
		} else {
			s.train = append(s.train, e)
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
		if !e.Rejected {
			out[e.Class]++
		}
	}
	return out
}

// countLabels is count of examples that fit a head and need not be tokenized.
func countLabels(examples []store.Example, h *model.Head) []uint32 {
	out := make([]uint32, len(h.Labels))
	for _, e := range examples {
		if c, ok := h.Label(e.Label); ok && !e.Rejected {
			out[c]++
		}
	}
	return out
}

// relabel turns examples of one head into those of another, by the labels' names. Those with a
// label that the other does not have are left out.
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
