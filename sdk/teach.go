package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/store"
)

// task is one profile's part of a LearnMany.
type task struct {
	LearnRequest
	result   *LearnResult
	learning *learning
	began    time.Time
	ctx      context.Context // ends, too, when the profile is forgotten
	unlock   func()          // once it has a report
}

// why is an error of the task, where the profile was forgotten errForgotten.
func (t *task) why(err error) error {
	if errors.Is(err, context.Canceled) && t.ctx != nil && context.Cause(t.ctx) == errForgotten {
		return errForgotten
	}
	return err
}

// together is what ends tasks that go on together: of a single one also that it is forgotten.
func together(ctx context.Context, tasks []*task) context.Context {
	if len(tasks) == 1 {
		return tasks[0].ctx
	}
	return ctx
}

// teach is all of learning, from what is stored to what is stored; every task ends with a report or
// an error of its own. The caller holds the profiles' locks, and a turn.
func (p *Folder) teach(ctx context.Context, tasks []*task, opts LearnOptions) {
	// What is learned, and from what: the examples, new and stored, none of them held back; the
	// head; and the axes of digits or the bank of masks.
	for _, t := range tasks {
		if t.result.Err != nil { // it was forgotten before it was locked
			continue
		}
		end := p.options.step(ctx, "learn.read")
		t.learning, t.result.Err = p.newLearning(t.ctx, t.Profile, t.Examples, opts)
		end(t.result.Err)
	}
	// The row that orders candidates, from choices: a convex fit.
	for _, t := range tasks {
		if t.result.Err == nil {
			t.result.Err = t.learning.learnOrder(t.ctx)
		}
		if t.result.Err == nil && t.learning.onlyOrder() {
			t.result.Report, t.result.Err = t.learning.endOrder(t.ctx)
			t.over(p)
		}
	}
	// Digits: a convex fit to each fold of the examples, and one to all.
	for _, t := range tasks {
		if t.result.Err == nil && t.learning != nil && t.learning.digits {
			end := p.options.step(ctx, "learn.train")
			t.result.Err = t.learning.learnDigits(t.ctx)
			end(t.result.Err)
			t.end(p)
		}
	}
	// Masks, own heads and numbers: Algorithm 1 on the same folds and on all, of all profiles over
	// one bank together.
	for some := range grouped(tasks) {
		end := p.options.step(ctx, "learn.train")
		p.learnMasks(together(ctx, some), some)
		end(some[0].result.Err)
		for _, t := range some {
			t.end(p)
		}
	}
}

// grouped yields the tasks of masks that go on, those of one bank and configuration together, in
// the order of their first.
func grouped(tasks []*task) iter.Seq[[]*task] {
	return func(yield func([]*task) bool) {
		var order []string
		groups := map[string][]*task{}
		for _, t := range tasks {
			if t.result.Err != nil || t.learning == nil {
				continue
			}
			c := t.learning.config
			c.Progress = nil
			key := fmt.Sprintf("%d %+v", t.learning.bankRef, c)
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], t)
		}
		for _, key := range order {
			if !yield(groups[key]) {
				return
			}
		}
	}
}

// outcome is what the trainings of a learning found.
type outcome struct {
	who   *digits.Person  // the examples' labels and weights
	after []digits.Answer // out of fold, of what was learned
	// and of what serves a newcomer: the shared head with the label prior, or what an own head
	// starts from
	prior   []digits.Answer
	logProb []float32      // of after, [n,C]; nil of numbers
	record  *store.Profile // learned from all examples
	start   Start
	losses  []float32
}

// end is the judge: what was learned is installed if it is no worse than what was served, both
// asked about examples that they had not learned from.
func (t *task) end(p *Folder) {
	if t.result.Err == nil {
		t.result.Report, t.result.Err = t.learning.end(t.ctx)
	}
	t.over(p)
}

// over lets others have the profile, while those that learn beside it go on.
func (t *task) over(p *Folder) {
	if t.learning = nil; t.result.Report != nil {
		p.learned(t.result.Report, t.began)
		p.banker.note(p, t.Profile)
	}
	t.unlock()
}

func (l *learning) end(ctx context.Context) (*Report, error) {
	end := l.sdk.options.step(ctx, "learn.judge")
	rep, rec, state, err := l.judged(ctx)
	if end(err); err != nil {
		return nil, err
	}
	end = l.sdk.options.step(ctx, "learn.install")
	err = l.commit(ctx, rec, state, rep)
	if end(err); err != nil {
		return nil, err
	}
	return rep, nil
}

// judged is what is to be served, its state, and why.
func (l *learning) judged(ctx context.Context) (rep *Report, rec *store.Profile, state []byte, err error) {
	served, err := l.servedAnswers(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if l.tally, err = l.tallyOf(ctx, served); err != nil {
		return nil, nil, nil, err
	}
	if l.first() {
		served = l.prior
	}
	for i := range l.after { // what weighs less is not judged by
		l.after[i].Known = l.after[i].Known && !l.faded(i)
	}
	rep, rec = l.report(served), l.record
	answers := l.after
	if rep.Installed, rep.Reason = l.judge(served); !rep.Installed && l.first() { // the prior serves
		rep.Installed, answers = true, l.prior
		if rec, err = l.priorRecord(); err != nil {
			return nil, nil, nil, err
		}
	}
	rep.Moved = rep.Installed && l.old != nil && (l.move || l.narrows)
	rec.Before, rec.After = float32(rep.Before.Accuracy), float32(rep.After.Accuracy)
	return rep, rec, l.encodeAnswers(answers), nil
}

// report is what was measured.
func (l *learning) report(served []digits.Answer) *Report {
	rep := &Report{Profile: l.id, Examples: len(l.examples) / l.each, Truncated: truncated(l.examples) / l.each,
		Unknown: l.sdk.unknown(encodings(l.examples)), Start: l.outcome.start,
		Losses: l.losses, Steps: len(l.losses), Order: l.ordered}
	b, a := digits.Scores(served, l.after)
	rep.Before, rep.After = Score(b), Score(a)
	if l.sdk.options.multi {
		rep.Labels, rep.MacroF1 = setReports(l.head.Labels, l.who.Class, l.after)
	}
	if l.logProb != nil {
		rep.Labels, rep.MacroF1 = labelReports(l.head.Labels, l.examples, l.after)
		rep.Sure = sureOf(l.logProb, float64(temperature(l.record.Temperature)), l.after)
	}
	return rep
}
