package sdk

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
)

// Learn teaches a profile its user's examples, and makes the profile if it is new. It learns
// digits, or masks (see LearnOptions.Config), from these examples and from those stored before, all
// of them, and installs the new revision only if it is no worse than what is served, each side
// asked by cross-validation what it had not learned; Report.Installed and Reason say so. Instead of
// a first revision that is worse than the label prior, that prior serves; a head of the profile's
// own has none, and its first revision is installed. The examples are stored either way, the last
// Options.Limits.Examples of a profile, unless DropExamples. Cost: a forward pass of each text and
// some milliseconds, of masks seconds; Predict goes on meanwhile. With ctx done it ends within one
// pass, fit or training step and leaves everything as it was. ErrConflict if an Import replaced the
// profile meanwhile, or a Forget erases it.
func (p *Folder) Learn(ctx context.Context, id string, examples []Example, o *LearnOptions) (*Report, error) {
	out, err := p.LearnMany(ctx, []LearnRequest{{id, examples}}, o)
	if out == nil {
		return nil, err
	}
	return out[0].Report, out[0].Err
}

// manyAtOnce is how many profiles a LearnMany has locked and under way at most.
const manyAtOnce = 128

// LearnRequest is what one profile is taught.
type LearnRequest struct {
	Profile  string    `json:"profile"`
	Examples []Example `json:"examples"`
}

// LearnResult is what LearnMany did for one request: a Report, or this profile's own error, a
// *ProfileError. The other profiles are learned.
type LearnResult struct {
	Report *Report `json:"report"` // nil with Err
	Err    error   `json:"-"`
}

// LearnMany is Learn of many profiles with the same options. Masks are trained in joint steps:
// several profiles' few examples make one batch that is worth a core's while (see
// learner.LearnMany). Each profile gets what Learn would give it, its own judge, its own
// transaction and its own error, in the order of the requests; LearnOptions.Progress hears of each
// step of each one's training on all its examples. ErrDuplicateProfile, before anything is learned,
// if two requests name one profile; put its examples into one. Up to 128 profiles are under way at
// a time: for so long, Learn, Forget and Rollback of those wait. With ctx done it returns ctx's
// error, and the results say which profiles are learned.
func (p *Folder) LearnMany(ctx context.Context, requests []LearnRequest, o *LearnOptions) ([]LearnResult, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return nil, err
	}
	defer leave()
	opts, err := o.withDefaults()
	if err == nil {
		err = p.options.checkLearn(opts)
	}
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(requests))
	for _, r := range requests {
		if seen[r.Profile] {
			err := fmt.Errorf("%w: %.40q", ErrDuplicateProfile, r.Profile)
			return nil, ofProfile(r.Profile, err)
		}
		seen[r.Profile] = true
	}
	out, tasks := make([]LearnResult, len(requests)), []*task(nil)
	for i, r := range requests {
		if out[i].Err = p.options.Limits.checkID(r.Profile); out[i].Err == nil {
			out[i].Err = p.checkExamples(r.Profile, r.Examples)
		}
		if out[i].Err = ofProfile(r.Profile, out[i].Err); out[i].Err == nil {
			tasks = append(tasks, &task{LearnRequest: r, result: &out[i]})
		}
	}
	p.learnAll(ctx, tasks, opts)
	return out, ctx.Err()
}

// teachOne learns what is stored of one profile.
func (p *Folder) teachOne(ctx context.Context, id string, opts LearnOptions) (*Report, error) {
	t := &task{LearnRequest: LearnRequest{Profile: id}, result: &LearnResult{}}
	p.learnAll(ctx, []*task{t}, opts)
	return t.result.Report, t.result.Err
}

// learnAll learns checked tasks, which are put into the order of their ids, so that two calls never
// wait for each other. Every task gets its result.
func (p *Folder) learnAll(ctx context.Context, tasks []*task, opts LearnOptions) {
	slices.SortFunc(tasks, func(a, b *task) int { return strings.Compare(a.Profile, b.Profile) })
	if len(tasks) > 1 {
		ctx = p.sharing(ctx)
	}
	for some := range slices.Chunk(tasks, manyAtOnce) {
		err := p.learnSome(ctx, some, opts)
		for _, t := range some {
			if err != nil {
				t.result.Err = err
			}
			t.result.Err = ofProfile(t.Profile, t.why(t.result.Err))
		}
	}
}

// learnSome learns a few tasks at once. Its error means that none was begun.
func (p *Folder) learnSome(ctx context.Context, tasks []*task, opts LearnOptions) (err error) {
	began := time.Now()
	ctx, end := p.options.span(ctx, "learn")
	defer func() {
		told := err
		for i := 0; i < len(tasks) && told == nil; i++ {
			told = tasks[i].result.Err
		}
		end(told)
	}()
	var leave func()
	for _, t := range tasks {
		t.began = began
		t.ctx, leave = p.ids.until(ctx, t.Profile)
		defer leave()
		unlock, ok := p.ids.lock(t.Profile, t.ctx.Done())
		if t.unlock = func() {}; ok {
			t.unlock = sync.OnceFunc(unlock)
		} else if t.result.Err = t.ctx.Err(); ctx.Err() != nil {
			return ctx.Err()
		}
		defer t.unlock()
	}
	granted, done, err := p.grant(together(ctx, tasks), p.options.Threads)
	if err != nil {
		return err
	}
	defer done()
	for _, t := range tasks {
		t.ctx = granted(t.ctx)
	}
	p.teach(granted(ctx), tasks, opts)
	return nil
}

// learned counts and logs what a Learn did.
func (p *Folder) learned(rep *Report, began time.Time) {
	p.counters.learns.Add(1)
	rep.Seconds = time.Since(began).Seconds()
	rep.Engine, rep.Device = p.engine.Name(), p.engine.Device()
	p.options.Logger.Info("learned", "engine", rep.Engine, "device", rep.Device, "installed", rep.Installed, "reason",
		rep.Reason, "revision", rep.Revision,
		"before", rep.Before.Accuracy, "after", rep.After.Accuracy, "examples", rep.Examples, "seconds", rep.Seconds)
}

// turn waits until one more training may run, with the context that is returned; done ends it.
func (p *Folder) turn(ctx context.Context) (paced context.Context, done func(), err error) {
	granted, done, err := p.grant(ctx, p.options.Threads)
	if err != nil {
		return nil, nil, err
	}
	return granted(ctx), done, nil
}

// grant is turn of a training that takes at most so many goroutines, for several contexts, which
// granted makes those of the training.
func (p *Folder) grant(ctx context.Context, threads int) (granted func(context.Context) context.Context, done func(),
	err error) {
	select {
	case p.learns <- struct{}{}:
		has, free := true, p.encoder.Busy()
		done = func() {
			free()
			if has {
				<-p.learns
			}
		}
		return func(ctx context.Context) context.Context {
			ctx = context.WithValue(ctx, turnKey{}, &has)
			return engine.WithPace(ctx, func() int { // but for the threads that answers are made on
				return min(threads, p.options.Threads, runtime.GOMAXPROCS(0)-p.scheduler.wanted())
			})
		}, done, nil
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
}

// turnKey is where a context of turn says whether its training has a turn.
type turnKey struct{}

// giveWay lets those go first who wait for the turn that a training has, whose ctx is turn's: it
// comes back after them. With ctx done it does not wait for that.
func (p *Folder) giveWay(ctx context.Context) {
	has, _ := ctx.Value(turnKey{}).(*bool)
	if has == nil || !*has {
		return
	}
	<-p.learns
	select {
	case p.learns <- struct{}{}:
	case <-ctx.Done():
		*has = false
	}
}
