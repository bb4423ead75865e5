//go:build cgo

package sdk

import (
	"context"
	"errors"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// unknownLoss is the loss of an example whose label a head does not have: that of the smallest probability that is counted.
const unknownLoss = 27.6

// errDiverged is a training that ended in something that is not a number.
var errDiverged = errors.New("sdk: training diverged; nothing was changed")

// compares says whether old and new revision can be measured against each other: both have labels, or both give numbers.
func (l *lesson) compares() bool {
	return l.old != nil && l.old.head.Regression() == l.head.Regression()
}

// scoreBefore is what was served before, on the held-out examples: the old revision with the labels that it has; where there is none, the bare
// encoder with the head that training starts from, which for numbers is their mean.
func (l *lesson) scoreBefore(ctx context.Context, start *model.Head) (Score, error) {
	held := l.data.held
	if !l.compares() {
		return l.score(ctx, nil, start, nil, held)
	}
	known := relabel(held, l.head, l.old.head)
	sc, err := l.scoreSnapshot(ctx, l.old, l.oldCounts(), known)
	if missing := len(held) - len(known); missing > 0 && err == nil {
		n := float64(len(held))
		sc.Accuracy = sc.Accuracy * float64(len(known)) / n
		sc.Loss = (sc.Loss*float64(len(known)) + unknownLoss*float64(missing)) / n
		sc.N = len(held)
	}
	return sc, err
}

func (l *lesson) scoreAfter(ctx context.Context, rec *store.Profile) (Score, error) {
	snap, err := l.sdk.open(rec)
	if err != nil {
		return Score{}, err
	}
	sc, err := l.scoreSnapshot(ctx, snap, l.counts(l.data.train), l.data.held)
	if err == nil && sc.Loss-sc.Loss != 0 {
		return sc, errDiverged
	}
	return sc, err
}

// scoreSnapshot measures a revision as it would be served, but with a prior that has not seen the held-out examples.
func (l *lesson) scoreSnapshot(ctx context.Context, snap *snapshot, counts []uint32, held []learner.Example) (Score, error) {
	if len(held) == 0 {
		return Score{}, nil
	}
	var f *bank.Folded
	err := l.sdk.engine.Do(ctx, func(s *torch.Scope) (err error) {
		f, err = snap.fold(s)
		return err
	})
	if err != nil {
		return Score{}, err
	}
	defer f.Free()
	return l.score(ctx, f, snap.head, snap.offsetWith(counts), held)
}

func (l *lesson) score(ctx context.Context, f *bank.Folded, h *model.Head, offset []float32, held []learner.Example) (Score, error) {
	sc, err := learner.Evaluate(ctx, l.sdk.env(l.bank), f, h, offset, held)
	return Score{N: sc.N, Accuracy: sc.Accuracy, Loss: sc.Loss}, err
}

// counts of the labels in a part, for the prior of the new revision; with DropExamples those learned before are known by their counts only.
func (l *lesson) counts(part []learner.Example) []uint32 {
	out := count(part, l.head)
	if l.options.DropExamples && l.old != nil && l.headRef != 0 && l.headRef == l.old.record.Head {
		for c, n := range l.old.record.Prior {
			if c < len(out) {
				out[c] += n
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

// gate decides whether the new revision replaces the old one.
func (l *lesson) gate(before, after Score) (install bool, reason string) {
	worse := after.Accuracy < before.Accuracy
	if l.head.Regression() {
		worse = after.Loss > before.Loss
	}
	switch {
	case after.N == 0:
		return true, "installed: too few examples to hold any back"
	case l.old == nil && worse:
		return true, "installed: the first revision, though worse than the base on the held-out examples"
	case !l.compares() && worse:
		return true, "installed: the first revision with labels instead of numbers, or numbers instead of labels"
	case worse && l.options.Force:
		return true, "installed by force: worse on the held-out examples"
	case worse:
		return false, "kept the old revision: the new one is worse on the held-out examples"
	}
	return true, "installed: no worse on the held-out examples"
}
