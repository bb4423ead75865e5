//go:build cgo

package sdk

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// split2 is a profile's examples, tokenized, in two parts.
type split2 struct {
	train, held []learner.Example
}

// counts of the labels in one part; nil for a regressor.
func (split2) counts(examples []learner.Example, h *model.Head) []uint32 {
	out := make([]uint32, h.Outputs())
	if h.Regression() {
		return out
	}
	for _, e := range examples {
		out[e.Class]++
	}
	return out
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

// latest keeps the last label of a text that is there more than once, in the order of the first.
func latest(examples []Example) []Example {
	type key struct{ text, pair string }
	at := make(map[key]int, len(examples))
	var out []Example
	for _, e := range examples {
		k := key{e.Text, e.Pair}
		if i, ok := at[k]; ok {
			out[i] = e
			continue
		}
		at[k] = len(out)
		out = append(out, e)
	}
	return out
}

// divide tokenizes and splits. With so few examples that none would be left to train on, none is kept back.
func (p *SDK) divide(id string, examples []Example, h *model.Head) (s split2, err error) {
	for _, e := range examples {
		x := learner.Example{Target: float32(e.Value)}
		if !h.Regression() {
			c, ok := h.Label(e.Label)
			if !ok {
				return s, fmt.Errorf("%w: %.40q is none of the profile's %d labels", ErrUnknownLabel, e.Label, len(h.Labels))
			}
			x.Class = c
		}
		p.tokenizer.Encode(&x.Text, e.Text, e.Pair, p.maxTokens)
		if heldOut(id, e) {
			s.held = append(s.held, x)
		} else {
			s.train = append(s.train, x)
		}
	}
	if len(s.train) == 0 {
		s.train, s.held = s.held, nil
	}
	return s, nil
}

// stored reads a profile's examples.
func (p *SDK) stored(id string, want bool) ([]Example, error) {
	if !want {
		return nil, nil
	}
	recs, err := p.store.Examples(id)
	if err != nil {
		return nil, err
	}
	out := make([]Example, len(recs))
	for i, r := range recs {
		out[i] = Example{Text: r.Text, Pair: r.Pair, Label: r.Label}
		if n, ok := number(r.Label); ok {
			out[i].Label, out[i].Value = "", n
		}
	}
	return out, nil
}

// A number's label in the store is the byte 1 and the shortest decimal that gives it back. No label begins with that byte.

func number(label string) (float64, bool) {
	if len(label) < 2 || label[0] != numberMark {
		return 0, false
	}
	n, err := strconv.ParseFloat(label[1:], 64)
	return n, err == nil
}

const numberMark = 0x01

func storedExamples(examples []Example) []store.Example {
	out, now := make([]store.Example, len(examples)), time.Now()
	for i, e := range examples {
		out[i] = store.Example{Text: e.Text, Pair: e.Pair, Label: e.Label, Time: now}
		if e.Label == "" {
			out[i].Label = string(rune(numberMark)) + strconv.FormatFloat(e.Value, 'g', -1, 64)
		}
	}
	return out
}
