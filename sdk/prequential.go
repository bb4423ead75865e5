package sdk

import (
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Prequential is how often an answer would have been right about examples that came later, before
// anything had learned from them: the profile's as it was served, the shared head with the
// profile's label prior alone, and the shared head alone (for an own head: that over the bare
// encoder, for both). Old examples count less and less. It is measured when a profile learns, on at
// most 16 of the examples that are new, and says whether digits or masks earn their bytes.
type Prequential struct {
	N       float64 `json:"n"` // examples, the older ones less
	Profile float64 `json:"profile"`
	Prior   float64 `json:"prior"`
	Base    float64 `json:"base"`
}

const (
	// mostTracked bounds the texts of one Learn that it costs a pass each, under the profile and
	// bare.
	mostTracked = 16
	// memories are over how many examples a profile's and the folder's shares are taken, about.
	profileMemory, folderMemory = 100, 10_000
)

// prequentialTally is what one Learn adds.
type prequentialTally struct{ n, profile, prior, base float64 }

// tallyOf is how often what was served, its prior and its head alone were right about examples that
// no training had seen.
func (l *learning) tallyOf(ctx context.Context, served []digits.Answer) (t prequentialTally, err error) {
	if l.sdk.options.multi || !l.compares() || l.head.Regression() ||
		l.old.head.Hidden != l.head.Hidden { // the last: it moves to φ
		return t, nil
	}
	var unseen []int
	for i, e := range l.examples {
		if _, has := l.old.head.Label(l.head.Labels[e.Class]); has && !l.merged[i].Known && !e.Rejected {
			unseen = append(unseen, i)
		}
	}
	first := max(0, len(unseen)-mostTracked)
	counts := l.countsBefore(unseen[:first])
	x, width, err := l.bare(ctx, unseen[first:])
	for n, i := range unseen[first:] {
		if err != nil {
			return t, err
		}
		row, text := x[n*width:(n+1)*width], &l.examples[i].Text
		class, _ := l.old.head.Label(l.head.Labels[l.examples[i].Class])
		prior := rightly(l.old.head, l.old.texts.offset(l.old.uncoded(counts), text), row, class)
		t.n++
		t.prior += prior
		t.base += rightly(l.old.head, l.old.texts.offset(nil, text), row, class)
		if l.first() {
			t.profile += prior
		} else if served[i].Right {
			t.profile++
		}
		if class < len(counts) { // an own head that dropped its examples has none
			counts[class]++
		}
	}
	return t, nil
}

// bare is what the head of what was served sees of some examples, under no adapter.
func (l *learning) bare(ctx context.Context, which []int) (x []float32, width int, err error) {
	width = l.old.head.Hidden
	if l.digits && l.old.digits() {
		return rowsOf(l.phi, which, width), width, nil
	}
	x, err = l.sdk.features(ctx, encodings(l.pick(which)))
	return x, width, err
}

// countsBefore are the labels that the prior knew of before the examples that are tracked.
func (l *learning) countsBefore(unseen []int) []uint32 {
	if l.options.DropExamples {
		return append([]uint32(nil), l.old.record.Prior...)
	}
	out := count(relabel(l.pick(unseen), l.head, l.old.head), l.old.head)
	for c, n := range countLabels(slices.DeleteFunc(slices.Clone(l.stored),
		func(e store.Example) bool { return !e.Known }), l.old.head) {
		out[c] += n
	}
	return out
}

// rightly is 1 if the label with the highest logit is the given one.
func rightly(h *model.Head, offset, x []float32, class int) float64 {
	z := h.Logits(make([]float32, 0, h.Outputs()), x)
	best := 0
	for c := range z {
		if c < len(offset) {
			z[c] += offset[c]
		}
		if z[c] > z[best] {
			best = c
		}
	}
	if best == class {
		return 1
	}
	return 0
}

// into makes a write add the tally to the person's shares and the folder's.
func (t prequentialTally) into(w *store.Write) {
	w.Person = func(p *store.Person) { p.Notes = t.added(p.Notes, profileMemory) }
	if t.n > 0 {
		w.Values = map[string]func([]byte) []byte{folder.ValuePrequential: func(old []byte) []byte {
			return t.added(old, folderMemory)
		}}
	}
}

// added is the bytes of shares with the tally: n and three sums, float32, little-endian.
func (t prequentialTally) added(old []byte, memory float64) []byte {
	if t.n == 0 {
		return old
	}
	sums := folder.PrequentialSums(old)
	keep := math.Pow(1-1/memory, t.n)
	out := make([]byte, 0, 16)
	for i, x := range []float64{t.n, t.profile, t.prior, t.base} {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(sums[i]*keep+x)))
	}
	return out
}

// prequentialOf reads shares.
func prequentialOf(notes []byte) Prequential { return Prequential(folder.PrequentialOf(notes)) }

// prequential of the folder.
func (p *Folder) prequential() (Prequential, error) {
	q, err := folder.FolderPrequential(p.store)
	return Prequential(q), err
}
