package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// task is one profile's part of a LearnMany.
type task struct {
	LearnRequest
	result *LearnResult
	lesson *lesson
	found  *learner.Result
}

// teach is all of learning, from what is stored to what is stored. Profiles over one bank share passes of the encoder, those of one configuration the training too; every
// task ends with a report or an error of its own. The caller holds the profiles' locks, and a turn.
func (p *SDK) teach(ctx context.Context, tasks []*task, opts LearnOptions) {
	// What is learned: bank, head and configuration, and which examples, new and stored, are trained on and which held out.
	for _, t := range tasks {
		t.lesson, t.result.Err = p.newLesson(ctx, t.Profile, t.Examples, opts)
	}
	for _, t := range tasks {
		if t.result.Err == nil && t.lesson.digits {
			t.result.Report, t.result.Err = t.lesson.learnDigits(ctx)
		}
	}
	// Masks. What was served until now, judged on the examples that are held out; and where training begins, under the labels' prior.
	for some := range grouped(tasks, func(l *lesson) string { return fmt.Sprint(l.bankRef) }) {
		err := p.setExams(ctx, some)
		for _, t := range some {
			if t.result.Err = err; err == nil {
				t.result.Err = t.lesson.begin(ctx)
			}
		}
	}
	// Algorithm 1. Then what was learned is judged on the same examples, and installed if it is no worse.
	for some := range grouped(tasks, (*lesson).group) {
		p.train(ctx, some)
		for _, t := range some {
			if t.result.Err == nil {
				t.result.Report, t.result.Err = t.lesson.end(ctx, t.found)
			}
		}
	}
}

// begin measures what was served before and settles what is trained.
func (l *lesson) begin(ctx context.Context) (err error) {
	var head *model.Head
	head, l.scale = l.standardise()
	if l.before, err = l.scoreBefore(ctx, l.scale.undo(head), l.data.held); err != nil {
		return err
	}
	if l.tally, err = l.prequential(ctx); err != nil {
		return err
	}
	l.job = learner.Job{Head: head, Rows: l.rows, Train: l.scale.apply(l.data.train), Held: l.scale.apply(l.data.held)}
	if l.job.Start, l.began, err = l.start(); err != nil {
		return err
	}
	if l.headRef != 0 {
		l.job.Prior = head.Prior(l.counts(l.data.train), priorStrength)
	}
	return nil
}

// end measures what was learned, and installs it if it is no worse.
func (l *lesson) end(ctx context.Context, res *learner.Result) (*Report, error) {
	rec, err := l.record(res, l.scale)
	if err != nil {
		return nil, err
	}
	after, err := l.scoreAfter(ctx, rec, l.data.held)
	if err != nil {
		return nil, err
	}
	lost, err := l.lost(ctx, rec)
	if err != nil {
		return nil, err
	}
	rec.Before, rec.After = float32(l.before.Accuracy), float32(after.Accuracy)
	rep := &Report{Profile: l.id, Before: l.before, After: after, Examples: len(l.data.train), HeldOut: len(l.data.held), Truncated: l.data.truncated(),
		Start: l.began, Losses: res.Losses, Steps: res.Steps}
	rep.Installed, rep.Reason = l.gate(l.before, after, lost)
	rep.Moved = rep.Installed && l.old != nil && (l.move || l.narrows)
	if err := l.commit(ctx, rec, encodeState(res.Logits), rep); err != nil {
		return nil, err
	}
	return rep, nil
}

// grouped yields the tasks of masks that go on, those of one key together, in the order of their first.
func grouped(tasks []*task, key func(*lesson) string) iter.Seq[[]*task] {
	return func(yield func([]*task) bool) {
		var order []string
		groups := map[string][]*task{}
		for _, t := range tasks {
			if t.result.Err != nil || t.lesson.digits {
				continue
			}
			k := key(t.lesson)
			if groups[k] == nil {
				order = append(order, k)
			}
			groups[k] = append(groups[k], t)
		}
		for _, k := range order {
			if !yield(groups[k]) {
				return
			}
		}
	}
}

// group names the bank and the configuration.
func (l *lesson) group() string {
	c := l.config
	c.Progress = nil
	return fmt.Sprintf("%d %+v", l.bankRef, c)
}

// train finds the masks of tasks of one bank and configuration. One that cannot be trained is left out, and the others go on.
func (p *SDK) train(ctx context.Context, tasks []*task) {
	left := slices.Clone(tasks)
	for len(left) > 0 {
		jobs := make([]learner.Job, len(left))
		for i, t := range left {
			jobs[i] = t.lesson.job
		}
		l := left[0].lesson
		out, err := learner.LearnMany(ctx, p.env(l.bank), jobs, l.config)
		if bad := new(learner.JobError); errors.As(err, &bad) {
			left[bad.Job].result.Err = bad.Err
			left = slices.Delete(left, bad.Job, bad.Job+1)
			continue
		}
		for i, t := range left {
			if t.result.Err = corrupt("bank", err); err == nil {
				t.found, t.result.Err = out[i].Result, out[i].Err
			}
		}
		return
	}
}
