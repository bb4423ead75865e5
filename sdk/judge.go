package sdk

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/xpeft/xpeft/learner/digits"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// judge decides whether what was learned replaces what was served.
func (l *lesson) judge(who *digits.Person, before, after, prior []digits.Answer, rec *store.Profile) (install bool, reason string) {
	verdict, label := digits.Judge(who, before, after, prior)
	joint := l.joint != nil && len(rec.Codes) > 0 && rec.Codes[0].Bank == l.joint.ref
	switch {
	case l.person.Anew:
		return true, "installed: learned anew, as an example was taken back"
	case l.options.Force:
		return true, "installed by force"
	case l.first() && len(rec.Codes) == 0:
		return true, "installed: the label prior alone, as nothing that was learned is better out of fold"
	case l.old != nil && l.old.head.Regression():
		return true, "installed: the first revision with labels instead of numbers"
	}
	switch {
	case verdict == digits.Untested:
		return true, "installed: too few examples to measure on"
	case joint && l.first():
		return true, "installed: the profile's place on the axes on which this population differs"
	case joint && l.old.joint == l.joint && len(who.Class) < fewestToJudge:
		return true, "installed: too few examples to judge by, on the axes on which this population differs"
	case verdict == digits.Loss && l.first(): // digits.Learn has weighed them against the prior
		return true, "installed: more likely out of fold than the label prior alone"
	case verdict != digits.Better && l.first():
		return false, "installed: the label prior alone, as what was learned is worse out of fold"
	}
	switch verdict {
	case digits.Loss:
		return false, "kept the old revision: the new one's loss out of fold is worse"
	case digits.Fewer:
		return false, "kept the old revision: the new one gets fewer right out of fold"
	case digits.Forgotten:
		return false, "kept the old revision: the new one forgets label " + l.head.Labels[label]
	}
	if l.reconsidered {
		return true, "installed: the newest examples say something else than the older ones, which count less from now on"
	}
	return true, "installed: no worse out of fold"
}

// first says whether nothing was learned before: the base and the label prior have served.
func (l *lesson) first() bool { return l.old == nil || !learned(l.old.record) }

// answeredBy is what a prediction says of an example of a label of head h.
func answeredBy(p Prediction, h *model.Head, label string) digits.Answer {
	a := digits.Answer{Known: true, Label: -1, Loss: digits.UnknownLoss}
	best := float32(-1)
	for _, x := range p.Probabilities {
		if x.P > best {
			best, a.Right = x.P, x.Label == label
			if c, ok := h.Label(x.Label); ok {
				a.Label = c
			}
		}
		if x.Label == label {
			a.Loss = min(digits.UnknownLoss, -math.Log(float64(x.P)))
		}
	}
	return a
}

// The state of a profile of digits is the sequence from which on its examples count in full, as a varint, and then what was answered out of fold about each example that it learned from:
// four bytes that name the example and its label, and two for the answer.

const (
	answerSize = 6
	wrong      = 1<<15 - 1 // the most of an answer that was not right
)

// answerKey names an example of this lesson.
func (l *lesson) answerKey(i int) uint32 {
	e := l.merged[i]
	return uint32(e.Key ^ store.TextHash(e.Label))
}

// encodeAnswers keeps 15 bits of the loss's root, and whether it was right.
func (l *lesson) encodeAnswers(answers []digits.Answer) []byte {
	out := binary.AppendUvarint(make([]byte, 0, 8+answerSize*len(answers)), l.since)
	for i, a := range answers {
		if !a.Known {
			continue
		}
		b := uint16(math.Round(wrong * math.Sqrt(a.Loss/digits.UnknownLoss)))
		if a.Right {
			b |= wrong + 1
		}
		out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(out, l.answerKey(i)), b)
	}
	return out
}

// readAnswers reads what the last Learn kept; nothing, if nothing is, as after a Rollback.
func (l *lesson) readAnswers() (map[uint32]digits.Answer, error) {
	out := map[uint32]digits.Answer{}
	if l.old == nil || !l.old.digits() {
		return out, nil
	}
	state, err := l.sdk.store.State(l.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	since, size := binary.Uvarint(state)
	if size <= 0 {
		return out, nil
	}
	l.since, state = since, state[size:]
	for ; len(state) >= answerSize; state = state[answerSize:] {
		b := binary.LittleEndian.Uint16(state[4:])
		root := float64(b&wrong) / wrong
		out[binary.LittleEndian.Uint32(state)] = digits.Answer{Known: true, Label: -1, Right: b > wrong, Loss: digits.UnknownLoss * root * root}
	}
	return out, nil
}
