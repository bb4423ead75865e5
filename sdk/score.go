package sdk

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/learner/digits"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// errDiverged is a training that ended in something that is not a number.
var errDiverged = errors.New("sdk: training diverged; nothing was changed")

// compares says whether old and new revision can be measured against each other: both have labels, or both give numbers.
func (l *lesson) compares() bool {
	return l.old != nil && l.old.head.Regression() == l.head.Regression()
}

// scoreBefore is what was served before, on the held-out examples: the old revision with the labels that it has; where there is none, the bare
// encoder with the head that training starts from, which for numbers is their mean.
func (l *lesson) scoreBefore(ctx context.Context, start *model.Head, held []learner.Example) (Score, error) {
	if !l.compares() {
		return l.score(ctx, nil, start, nil, held)
	}
	switch {
	case l.old.digits() && learned(l.old.record):
		return l.scoreDigits(ctx)
	case l.old.digits(): // only observed: base and prior
		return l.score(ctx, nil, start, start.Prior(l.counts(l.data.train), priorStrength), held)
	}
	known := relabel(held, l.head, l.old.head)
	sc, err := l.scoreSnapshot(ctx, l.old, l.oldCounts(), known)
	return sc.withMissing(len(held) - len(known)), err
}

// scoreDigits is what served digits say of the held-out examples, which they were trained on: their answers out of fold. Not measured with another set of labels.
func (l *lesson) scoreDigits(ctx context.Context) (Score, error) {
	if !slices.Equal(l.head.Labels, l.old.head.Labels) {
		return Score{}, nil
	}
	d := &lesson{sdk: l.sdk, id: l.id, known: l.known, aim: aim{digits: true, head: l.old.head, headRef: l.old.record.Head, texts: l.old.texts}, divided: divided{data: split2{train: l.all}, merged: l.merged}}
	kept, err := d.readAnswers()
	if err != nil {
		return Score{}, err
	}
	phi, err := l.sdk.features(ctx, encodings(l.all))
	if err != nil {
		return Score{}, err
	}
	answers, err := d.servedAnswers(ctx, phi, kept)
	if err != nil {
		return Score{}, err
	}
	for i, e := range l.all {
		answers[i].Known = answers[i].Known && e.Held
	}
	sc, _ := digits.Scores(answers, answers)
	return Score(sc), nil
}

// withMissing counts examples as wrong whose label what was scored does not have.
func (sc Score) withMissing(missing int) Score {
	if missing > 0 {
		n := float64(sc.N + missing)
		sc.Accuracy = sc.Accuracy * float64(sc.N) / n
		sc.Loss = (sc.Loss*float64(sc.N) + digits.UnknownLoss*float64(missing)) / n
		sc.N += missing
	}
	return sc
}

func (l *lesson) scoreAfter(ctx context.Context, rec *store.Profile, held []learner.Example) (Score, error) {
	snap, err := l.sdk.open(rec)
	if err != nil {
		return Score{}, err
	}
	sc, err := l.scoreSnapshot(ctx, snap, l.counts(l.data.train), held)
	if err == nil && sc.Loss-sc.Loss != 0 {
		return sc, errDiverged
	}
	return sc, err
}

// scoreSnapshot measures a revision as it would be served, but with a prior that has not seen the held-out examples.
func (l *lesson) scoreSnapshot(ctx context.Context, snap *snapshot, counts []uint32, held []learner.Example) (Score, error) {
	return l.score(ctx, snap, snap.head, snap.offsetWith(counts), held)
}

// score measures a revision's adapter, or the bare encoder, under a head.
func (l *lesson) score(ctx context.Context, snap *snapshot, h *model.Head, offset []float32, held []learner.Example) (Score, error) {
	if len(held) == 0 {
		return Score{}, nil
	}
	x, err := l.embed(ctx, snap, held)
	if err != nil {
		return Score{}, err
	}
	sc := learner.Score(h, offset, x, held)
	return Score{N: sc.N, Accuracy: sc.Accuracy, Loss: sc.Loss}, nil
}

// counts of the labels in a part, for the prior of the new revision; with DropExamples those learned before are known by their counts only.
func (l *lesson) counts(part []learner.Example) []uint32 {
	out := count(part, l.head)
	if l.options.DropExamples && l.old != nil && l.headRef != 0 && l.headRef == l.old.record.Head {
		for c, n := range l.old.record.Prior {
			if c >= len(l.old.head.Labels) {
				break
			}
			if at, ok := l.head.Label(l.old.head.Labels[c]); ok {
				out[at] += n
			}
		}
	}
	return out
}

// oldCounts are those of the training part, for the old revision's prior: what it stores counts the held-out examples too.
func (l *lesson) oldCounts() []uint32 {
	if l.options.DropExamples {
		return l.old.record.Prior // these examples are new to it
	}
	return count(relabel(l.data.train, l.head, l.old.head), l.old.head)
}

// lost is how many of the examples that were held out before this Learn, too, the new revision gets wrong more than the old one; negative if it is better there.
func (l *lesson) lost(ctx context.Context, rec *store.Profile) (int, error) {
	if !l.compares() || l.old.digits() || l.head.Regression() || len(l.kept) == 0 || len(l.kept) == len(l.data.held) {
		return 0, nil
	}
	before, err := l.scoreBefore(ctx, nil, l.kept)
	if err != nil {
		return 0, err
	}
	after, err := l.scoreAfter(ctx, rec, l.kept)
	return right(before) - right(after), err
}

// right is how many examples a score counts as right.
func right(s Score) int { return int(math.Round(s.Accuracy * float64(s.N))) }

// shiftGain is how many more of the new held-out examples a revision must get right before it may lose any of the older ones.
const shiftGain = 3

// installs is the gate's rule for labels: no worse on all held-out examples, and no worse on those that were held out before this Learn, so that new labels
// which are wrong cannot vote for themselves. A user who changed their mind shows it in the new examples: three more right there, and at least twice as many
// as are lost on the older ones, count for more. lost is what the new revision gets wrong more than the old one on the older examples.
func installs(before, after Score, lost int) bool {
	if after.Accuracy < before.Accuracy {
		return false
	}
	gained := right(after) - right(before) + lost // on the examples that are new
	return lost <= 0 || gained >= shiftGain && gained >= 2*lost
}

// gate decides whether the new revision replaces the old one.
func (l *lesson) gate(before, after Score, lost int) (install bool, reason string) {
	better := installs(before, after, lost)
	if l.head.Regression() {
		better = after.Loss <= before.Loss
	}
	switch {
	case l.person.Anew:
		return true, "installed: learned anew, as an example was taken back"
	case after.N == 0:
		return true, "installed: too few examples to hold any back"
	case better && lost > 0:
		return true, "installed: worse on older held-out examples, but better on the new ones by more"
	case better:
		return true, "installed: no worse on the held-out examples"
	case l.old == nil:
		return true, "installed: the first revision, though worse than the base on the held-out examples"
	case l.old.digits() && l.options.Config != nil:
		return true, "installed: masks instead of digits, as was asked for"
	case !l.compares():
		return true, "installed: the first revision with labels instead of numbers, or numbers instead of labels"
	case l.options.Force:
		return true, "installed by force: worse on the held-out examples"
	case after.Accuracy >= before.Accuracy && lost > 0:
		return false, "kept the old revision: the new one is worse on the examples that were held out before"
	}
	return false, "kept the old revision: the new one is worse on the held-out examples"
}
