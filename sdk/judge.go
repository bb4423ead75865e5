package sdk

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// judge decides whether what was learned replaces what was served.
func (l *learning) judge(served []digits.Answer) (install bool, reason string) {
	rec := l.record
	verdict, label := digits.Judge(l.who, served, l.after, l.prior)
	joint := l.joint != nil && len(rec.Codes) > 0 && rec.Codes[0].Bank == l.joint.ref
	switch {
	case l.person.Anew:
		return true, "installed: learned anew, as an example was taken back"
	case l.options.Force:
		return true, "installed by force"
	case l.old != nil && !l.compares():
		return true, "installed: the first revision with labels instead of numbers, or numbers instead of labels"
	case l.first() && rec.Mask == nil && len(rec.Codes) == 0:
		return true, "installed: the label prior alone, as nothing that was learned is better out of fold"
	case verdict == digits.Untested:
		return true, "installed: too few examples to measure on"
	case joint && l.first():
		return true, "installed: the profile's place on the axes on which this population differs"
	case joint && l.old.joint == l.joint && len(l.examples) < fewestToJudge:
		return true, "installed: too few examples to judge by, on the axes on which this population differs"
	case verdict == digits.Loss && l.first() && l.digits: // digits.Learn has weighed them against the prior
		return true, "installed: the label prior alone is not clearly better out of fold"
	case verdict != digits.Better && l.first() && l.headRef == 0:
		return true, "installed: the first revision, though worse out of fold than what it started from"
	case verdict != digits.Better && l.first():
		return false, "installed: the label prior alone, as what was learned is worse out of fold"
	case verdict != digits.Better && l.old.digits() && l.options.Config != nil:
		return true, "installed: masks instead of digits, as was asked for"
	}
	switch verdict {
	case digits.Loss:
		return false, "kept the old revision: the new one's loss out of fold is worse"
	case digits.Fewer:
		return false, "kept the old revision: the new one gets fewer right out of fold"
	case digits.Forgotten:
		if l.sdk.options.multi {
			label /= 2 // given, or not
		}
		return false, "kept the old revision: the new one forgets label " + l.head.Labels[label]
	}
	if l.reconsidered {
		return true, "installed: the newest examples say something else than the older ones, which count less from " +
			"now on"
	}
	return true, "installed: no worse out of fold"
}

// servedAnswers are what was served before about the examples that it had not learned from, and of
// the others what was out of fold when it learned from them: not when a training did whose revision
// was refused, though it saw them.
func (l *learning) servedAnswers(ctx context.Context) ([]digits.Answer, error) {
	out := make([]digits.Answer, len(l.examples))
	if !l.compares() {
		return out, nil
	}
	known, err := l.answersThen(ctx)
	if err != nil {
		return nil, err
	}
	var ask []int
	for i, e := range l.merged {
		switch a, ok := known[l.answerKey(i)]; {
		case ok:
			out[i] = a
		case l.faded(i):
		case !e.Known || len(known) > 0 || l.heldOut && e.HeldOut():
			ask = append(ask, i)
		}
	}
	if err := l.ask(ctx, ask, out); err != nil {
		return nil, err
	}
	for _, i := range ask { // of numbers none: they are judged by the loss alone
		out[i].Fresh = !l.head.Regression() && (!l.merged[i].Known || len(known) > 0)
	}
	return out, nil
}

// answersThen are those out of fold from the training that made what is served. Where they are not
// kept, as after a Rollback, that training has run again on the same folds: it needs no more than
// the examples that it had.
func (l *learning) answersThen(ctx context.Context) (known map[uint32]digits.Answer, err error) {
	had := l.forgottenAnswers()
	if len(had) == 0 {
		return l.kept, nil
	}
	var then []digits.Answer
	if known = map[uint32]digits.Answer{}; !l.digits {
		then, err = l.thenAnswers(ctx)
	} else {
		then, err = l.digitsThen(ctx, had)
	}
	if err != nil {
		return nil, err
	}
	for _, i := range had {
		if then[i].Known {
			known[l.answerKey(i)] = then[i]
		}
	}
	return known, nil
}

// forgottenAnswers are the examples that the served revision may have learned from, where nothing
// is kept of what it answered then. Of masks that have become digits, digits that become masks, and
// heads that move to φ there are none: that training is not run again.
func (l *learning) forgottenAnswers() (had []int) {
	if len(l.kept) > 0 || l.first() || !l.compares() || l.digits != l.old.digits() || l.heldOut ||
		l.old.head.Hidden != l.head.Hidden {
		return nil
	}
	for i, e := range l.merged {
		if e.Known {
			had = append(had, i)
		}
	}
	return had
}

// ask answers some examples as Predict would have.
func (l *learning) ask(ctx context.Context, which []int, out []digits.Answer) error {
	tickets := make([]*ticket, len(which))
	for n, i := range which {
		tickets[n] = &ticket{request: &request{text: l.examples[i].Text, snapshot: l.old, source: SourceProfile,
			head: l.old.head, offset: l.old.offset, texts: l.old.texts, multi: l.sdk.options.multi}}
	}
	if l.digits && l.old.digits() { // whose features are there already
		rows, D := l.sdk.foldRows(l.old), l.sdk.axes.Dim()
		for n, i := range which {
			i /= l.each
			tickets[n].answer = tickets[n].request.answer(l.phi[i*D:(i+1)*D], rows)
		}
	} else {
		for some := range slices.Chunk(tickets, maxTickets) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := l.sdk.forwardBy(l.sdk.encoder.Embed, some); err != nil {
				return err
			}
		}
	}
	for n, i := range which {
		switch a, e := tickets[n].answer, l.examples[i]; {
		case a.Err != nil:
			return a.Err
		case l.head.Regression():
			miss := *a.Value - float64(e.Target)
			out[i] = digits.Answer{Known: true, Loss: miss * miss}
		case l.sdk.options.multi:
			out[i] = decided(float64(a.Probabilities[e.Class].P), e.Class, !e.Rejected)
		default:
			out[i] = answeredBy(a, l.head, l.head.Labels[e.Class])
		}
	}
	return nil
}

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

// The state of a profile is the sequence from which on its examples count in full, as a varint, and
// then what was answered out of fold about each example that it learned from: four bytes that name
// the example and its label, and two for the answer. Earlier versions kept the logits of masks
// there, in which no example finds its name.

const (
	answerSize = 6
	wrong      = 1<<15 - 1 // the most of an answer that was not right
)

// answerKey names an example of this learning.
func (l *learning) answerKey(i int) uint32 {
	e := l.merged[i]
	key := uint32(e.Key ^ store.TextHash(e.Label))
	if e.Rejected {
		key = ^key
	}
	return key
}

// encodeAnswers keeps 15 bits of the loss's root, and whether it was right; of numbers the upper
// half of the loss in float32.
func (l *learning) encodeAnswers(answers []digits.Answer) []byte {
	out := binary.AppendUvarint(make([]byte, 0, 8+answerSize*len(answers)), l.since)
	for i, a := range answers {
		if !a.Known {
			continue
		}
		b := uint16(math.Float32bits(float32(a.Loss)) >> 16)
		if !l.head.Regression() {
			b = uint16(math.Round(wrong * math.Sqrt(a.Loss/digits.UnknownLoss)))
		}
		if a.Right {
			b |= wrong + 1
		}
		out = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(out, l.answerKey(i)), b)
	}
	return out
}

// decodeAnswers reads a state.
func decodeAnswers(state []byte, numbers bool) (since uint64, kept map[uint32]digits.Answer) {
	kept = map[uint32]digits.Answer{}
	since, size := binary.Uvarint(state)
	if size <= 0 {
		return 0, kept
	}
	for state = state[size:]; len(state) >= answerSize; state = state[answerSize:] {
		b := binary.LittleEndian.Uint16(state[4:])
		root := float64(b&wrong) / wrong
		a := digits.Answer{Known: true, Label: -1, Right: b > wrong, Loss: digits.UnknownLoss * root * root}
		if numbers {
			a = digits.Answer{Known: true, Loss: float64(math.Float32frombits(uint32(b) << 16))}
		}
		kept[binary.LittleEndian.Uint32(state)] = a
	}
	return since, kept
}

// readAnswers reads what the last Learn kept; nothing, if nothing is, as after a Rollback.
func (l *learning) readAnswers() error {
	if l.first() {
		return nil
	}
	state, err := l.sdk.store.State(l.id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	since, kept := decodeAnswers(state, l.old.head.Regression())
	for i := range l.examples {
		if _, ok := kept[l.answerKey(i)]; ok {
			l.since, l.kept = since, kept
			return nil
		}
	}
	if l.old.bank != nil { // of an earlier version, its logits
		props := l.old.bank.Properties()
		l.heldOut = len(state) > 0 && len(state) == 4*props.N*props.Blocks
	}
	return nil
}
