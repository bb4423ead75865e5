//go:build cgo

package sdk

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/xpeft/xpeft/learner"
)

// manyAtOnce is how many profiles a LearnMany has locked and under way at most.
const manyAtOnce = 128

// LearnRequest is what one profile is taught.
type LearnRequest struct {
	Profile  string
	Examples []Example
}

// LearnResult is what LearnMany did for one request: a Report, or this profile's own error. The other profiles are learned.
type LearnResult struct {
	Report *Report // nil with Err
	Err    error
}

// LearnMany is Learn of many profiles with the same options, in joint training steps: several profiles' few examples make one batch that is worth a core's while
// (see learner.LearnMany). Each profile gets what Learn would give it, its own gate, its own transaction and its own error, in the order of the requests; LearnOptions.Progress hears
// of each step of each. ErrTwice, before anything is learned, if two requests name one profile; put its examples into one. Up to 128 profiles are under way
// at a time: for so long, Learn, Forget and Rollback of those wait. With ctx done it returns ctx's error, and the results say which profiles are learned.
func (p *SDK) LearnMany(ctx context.Context, requests []LearnRequest, o *LearnOptions) ([]LearnResult, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return nil, err
	}
	defer leave()
	opts, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(requests))
	for _, r := range requests {
		if seen[r.Profile] {
			return nil, fmt.Errorf("%w: %.40q", ErrTwice, r.Profile)
		}
		seen[r.Profile] = true
	}
	out, tasks := make([]LearnResult, len(requests)), []*task(nil)
	for i, r := range requests {
		if out[i].Err = p.options.Limits.checkID(r.Profile); out[i].Err == nil {
			out[i].Err = p.checkExamples(r.Examples)
		}
		if out[i].Err == nil {
			tasks = append(tasks, &task{LearnRequest: r, result: &out[i]})
		}
	}
	p.learnAll(ctx, tasks, opts)
	return out, ctx.Err()
}

// task is one profile's part of a LearnMany.
type task struct {
	LearnRequest
	result *LearnResult
	lesson *lesson
}

// learnAll learns checked tasks, which are put into the order of their ids, so that two calls never wait for each other. Every task gets its result.
func (p *SDK) learnAll(ctx context.Context, tasks []*task, opts LearnOptions) {
	slices.SortFunc(tasks, func(a, b *task) int { return strings.Compare(a.Profile, b.Profile) })
	for some := range slices.Chunk(tasks, manyAtOnce) {
		if err := p.learnSome(ctx, some, opts); err != nil {
			for _, t := range some {
				if t.result.Report == nil && t.result.Err == nil {
					t.result.Err = err
				}
			}
		}
	}
}

// learnSome learns a few tasks at once; its error is that of all that have no result.
func (p *SDK) learnSome(ctx context.Context, tasks []*task, opts LearnOptions) error {
	began := time.Now()
	for _, t := range tasks {
		unlock, ok := p.ids.lock(t.Profile, ctx.Done())
		if !ok {
			return ctx.Err()
		}
		defer unlock()
	}
	done, err := p.turn(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, t := range tasks {
		t.lesson, t.result.Err = p.newLesson(ctx, t.Profile, t.Examples, opts)
	}
	var errs []error
	for group := range grouped(tasks, func(l *lesson) string { return fmt.Sprint(l.bankRef) }) {
		errs = append(errs, p.beginAll(ctx, group))
	}
	for group := range grouped(tasks, (*lesson).group) {
		errs = append(errs, p.learnGroup(ctx, group, began))
	}
	return errors.Join(errs...)
}

// grouped yields the tasks that go on, those of one key together, in the order of their first.
func grouped(tasks []*task, key func(*lesson) string) iter.Seq[[]*task] {
	return func(yield func([]*task) bool) {
		var order []string
		groups := map[string][]*task{}
		for _, t := range tasks {
			if t.result.Err != nil {
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

// beginAll prepares the exams of tasks over one bank together, and begins each.
func (p *SDK) beginAll(ctx context.Context, tasks []*task) error {
	lessons := make([]*lesson, len(tasks))
	for i, t := range tasks {
		lessons[i] = t.lesson
	}
	err := p.setExams(ctx, lessons)
	for _, t := range tasks {
		if t.result.Err = err; err == nil {
			t.result.Err = t.lesson.begin(ctx)
		}
	}
	return err
}

// group names the bank and the configuration.
func (l *lesson) group() string {
	c := l.config
	c.Progress = nil
	return fmt.Sprintf("%d %+v", l.bankRef, c)
}

// learnGroup trains tasks of one bank and configuration together, then measures and commits each.
func (p *SDK) learnGroup(ctx context.Context, tasks []*task, began time.Time) error {
	jobs := make([]learner.Job, len(tasks))
	for i, t := range tasks {
		jobs[i] = t.lesson.job
	}
	l := tasks[0].lesson
	out, err := learner.LearnMany(ctx, p.env(l.bank), jobs, l.config)
	if bad := new(learner.JobError); errors.As(err, &bad) { // the others go on without it
		tasks[bad.Job].result.Err = bad.Err
		if tasks = slices.Delete(tasks, bad.Job, bad.Job+1); len(tasks) == 0 {
			return nil
		}
		return p.learnGroup(ctx, tasks, began)
	}
	if err != nil {
		return corrupt("bank", err)
	}
	for i, t := range tasks {
		if t.result.Err = out[i].Err; t.result.Err != nil {
			continue
		}
		if t.result.Report, t.result.Err = t.lesson.end(ctx, out[i].Result); t.result.Err == nil {
			p.learned(t.result.Report, began)
		}
	}
	return nil
}
