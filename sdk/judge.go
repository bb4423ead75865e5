//go:build cgo

package sdk

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// answered is what was said of one example by what had not learned from it.
type answered struct {
	known bool // else nothing is known, and nothing is compared
	label int  // the first one; -1: unknown, but that right says whether it is the example's
	right bool
	loss  float64 // −log of the right label's probability, at most unknownLoss
}

// outOfFold is what log-probabilities [n,C] say of examples. A rejection has no right answer, and what no fold could answer is not a number.
func outOfFold(logProb []float32, examples []learner.Example) []answered {
	out := make([]answered, len(examples))
	C := len(logProb) / max(1, len(examples))
	for i, e := range examples {
		z := logProb[i*C : (i+1)*C]
		if e.Rejected || z[e.Class] != z[e.Class] {
			continue
		}
		best := 0
		for c := range z {
			if z[c] > z[best] {
				best = c
			}
		}
		out[i] = answered{true, best, best == e.Class, min(unknownLoss, -float64(z[e.Class]))}
	}
	return out
}

// answeredBy is what a prediction says of an example of a label.
func answeredBy(p Prediction, h *model.Head, label string) answered {
	a := answered{known: true, label: -1, loss: unknownLoss}
	best := float32(-1)
	for _, x := range p.Probabilities {
		if x.P > best {
			best, a.right = x.P, x.Label == label
			a.label = -1
			if c, ok := h.Label(x.Label); ok {
				a.label = c
			}
		}
		if x.Label == label {
			a.loss = min(unknownLoss, -math.Log(float64(x.P)))
		}
	}
	return a
}

// scores are those of two sides on the examples of which both are known.
func scores(before, after []answered) (b, a Score) {
	for i := range after {
		if before[i].known && after[i].known {
			b.add(before[i])
			a.add(after[i])
		}
	}
	return b.mean(), a.mean()
}

func (sc *Score) add(a answered) {
	sc.N++
	sc.Loss += a.loss
	if a.right {
		sc.Accuracy++
	}
}

func (sc Score) mean() Score {
	n := float64(max(1, sc.N))
	return Score{sc.N, sc.Accuracy / n, sc.Loss / n}
}

const (
	// mostLost is by how many examples accuracy may fall where the loss is better.
	mostLost = 2
	// of a label with fewestOfLabel examples, at least fewestRight of which were answered right, no more than half of those may be lost.
	fewestOfLabel, fewestRight = 5, 2
)

// judge decides whether what was learned replaces what was served: by the mean loss out of fold. Accuracy and a label's recall can only forbid it, and only where they fall by more
// than chance does.
func (l *lesson) judge(before, after []answered, rec *store.Profile) (install bool, reason string) {
	b, a := scores(before, after)
	switch {
	case l.person.Anew:
		return true, "installed: learned anew, as an example was taken back"
	case l.options.Force:
		return true, "installed by force"
	case l.first() && len(rec.Codes) == 0:
		return true, "installed: the label prior alone, as nothing learned was better out of fold"
	case !l.compares():
		return true, "installed: the first revision with labels instead of numbers"
	case a.N == 0:
		return true, "installed: too few examples to measure on"
	case a.Loss >= b.Loss && l.first():
		return false, "installed: the label prior alone, as what was learned is worse out of fold"
	case a.Loss > b.Loss:
		return false, "kept the old revision: the new one's loss out of fold is worse"
	case right(a) < right(b)-mostLost:
		return false, "kept the old revision: the new one answers fewer examples right out of fold"
	}
	if c := l.lostLabel(before, after); c >= 0 {
		return false, "kept the old revision: the new one forgets label " + l.head.Labels[c]
	}
	return true, "installed: better out of fold"
}

// first says whether nothing was learned before: the base and the label prior have served.
func (l *lesson) first() bool { return l.old == nil || !learned(l.old.record) }

// lostLabel is a label of which too much is lost, -1 if none is.
func (l *lesson) lostLabel(before, after []answered) int {
	n, was, is := make([]int, len(l.head.Labels)), make([]int, len(l.head.Labels)), make([]int, len(l.head.Labels))
	for i, e := range l.data.train {
		if !before[i].known || !after[i].known {
			continue
		}
		n[e.Class]++
		if before[i].right {
			was[e.Class]++
		}
		if after[i].right {
			is[e.Class]++
		}
	}
	for c := range n {
		if n[c] >= fewestOfLabel && was[c] >= fewestRight && 2*is[c] < was[c] {
			return c
		}
	}
	return -1
}

// The state of a profile of digits is what was answered out of fold about each example that it learned from: four bytes that name the example and its label, and one for the answer.

const answerSize = 5

// answerKey names an example of this lesson.
func (l *lesson) answerKey(i int) uint32 {
	e := l.merged[i]
	return uint32(e.Key ^ store.TextHash(e.Label))
}

// encodeAnswers is seven bits of the loss's root, and whether it was right.
func (l *lesson) encodeAnswers(answers []answered) []byte {
	out := make([]byte, 0, answerSize*len(answers))
	for i, a := range answers {
		if !a.known {
			continue
		}
		b := byte(math.Round(127 * math.Sqrt(a.loss/unknownLoss)))
		if a.right {
			b |= 0x80
		}
		out = append(binary.LittleEndian.AppendUint32(out, l.answerKey(i)), b)
	}
	return out
}

// decodeAnswers reads what the last Learn kept, nil if nothing is.
func (l *lesson) decodeAnswers() (map[uint32]answered, error) {
	state, err := l.sdk.store.State(l.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	out := map[uint32]answered{}
	for ; len(state) >= answerSize; state = state[answerSize:] {
		b := state[answerSize-1]
		root := float64(b&0x7f) / 127
		out[binary.LittleEndian.Uint32(state)] = answered{true, -1, b&0x80 != 0, unknownLoss * root * root}
	}
	return out, nil
}
