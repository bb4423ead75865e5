//go:build cgo

package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Learn teaches a profile its user's examples, and makes the profile if it is new. It trains on these examples and on those stored before, keeps three in
// ten of them back for ever, and installs the new revision only if it is no worse on those; Report.Installed and Reason say so. A first
// revision is always installed. The examples are stored either way, the last Options.Limits.Examples of a profile, unless DropExamples. Cost: seconds; Predict goes on
// meanwhile. With ctx done it ends within one training step and leaves everything as it was. ErrConflict if an Import replaced the profile meanwhile.
func (p *SDK) Learn(ctx context.Context, id string, examples []Example, o *LearnOptions) (*Report, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return nil, err
	}
	defer leave()
	opts, err := o.withDefaults()
	if err == nil {
		err = p.options.Limits.checkID(id)
	}
	if err == nil {
		err = p.checkExamples(examples)
	}
	if err != nil {
		return nil, err
	}
	return p.learn(ctx, id, examples, opts)
}

// learn is Learn of checked examples; with none it learns what is stored.
func (p *SDK) learn(ctx context.Context, id string, examples []Example, opts LearnOptions) (*Report, error) {
	began := time.Now()
	unlock, ok := p.ids.lock(id, ctx.Done())
	if !ok {
		return nil, ctx.Err()
	}
	defer unlock()
	done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	l, err := p.newLesson(ctx, id, examples, opts)
	if err != nil {
		return nil, err
	}
	rep, err := l.run(ctx)
	if err != nil {
		return nil, err
	}
	p.learned(rep, began)
	return rep, nil
}

// learned counts and logs what a Learn did.
func (p *SDK) learned(rep *Report, began time.Time) {
	p.counters.learns.Add(1)
	rep.Took = time.Since(began)
	p.options.Logger.Info("learned", "installed", rep.Installed, "reason", rep.Reason, "revision", rep.Revision,
		"before", rep.Before.Accuracy, "after", rep.After.Accuracy, "examples", rep.Examples, "took", rep.Took)
}

// turn waits until one more training may run; done ends it.
func (p *SDK) turn(ctx context.Context) (done func(), err error) {
	select {
	case p.learns <- struct{}{}:
		return func() {
			p.trimmer.trim()
			<-p.learns
		}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// lesson is one Learn in progress.
type lesson struct {
	sdk     *SDK
	id      string
	options LearnOptions
	config  learner.Config
	fresh   []Example // given now
	stored  []taught  // given before
	through uint64    // the first Sequence after those
	person  store.Person
	erase   bool // there are examples to erase

	old     *snapshot // nil for a new profile
	move    bool      // to the default bank and the newest shared head
	bank    *bank.Bank
	bankRef uint32
	head    *model.Head // where the head starts
	headRef uint32      // 0: the profile's own
	from    learner.Start
	data    split2
	kept    []learner.Example // of data.held: held out before this Learn too, with the same labels
	unseen  []taught          // what no training has seen yet

	exam exam

	// Of begin.
	job    learner.Job
	scale  scaling
	before Score
	began  Start // where training begins
	tally  prequentialTally
}

func (p *SDK) newLesson(ctx context.Context, id string, examples []Example, o LearnOptions) (*lesson, error) {
	l := &lesson{sdk: p, id: id, options: o, fresh: examples, move: o.move}
	old, err := p.snapshot(id)
	switch {
	case err == nil:
		l.old, l.bank, l.bankRef = old, old.bank, old.record.Bank
	case !errors.Is(err, ErrProfileNotFound) || o.move:
		return nil, err
	}
	if l.old == nil || l.move {
		if l.bankRef, l.bank, err = p.newcomersBank(); err != nil {
			return nil, err
		}
	}
	if l.old != nil {
		if err := l.readStored(); err != nil {
			return nil, err
		}
	}
	if err := l.chooseHead(ctx); err != nil {
		return nil, err
	}
	for i, e := range examples {
		if err := e.fits(l.head); err != nil {
			return nil, fmt.Errorf("example %d: %w", i, err)
		}
	}
	if err := l.divide(ctx); err != nil {
		return nil, err
	}
	l.config = l.learnConfig()
	return l, nil
}

// readStored reads what the profile was given before.
func (l *lesson) readStored() (err error) {
	if l.person, err = l.sdk.store.Person(l.id); err != nil {
		return err
	}
	if l.options.background && !l.sdk.observer.due(store.Waiting{Examples: l.person.Waiting, Anew: l.person.Anew, Learned: int(l.old.record.Examples)}) {
		return errNotDue
	}
	if l.stored, err = l.sdk.taught(l.id); err != nil {
		return err
	}
	for _, e := range l.stored {
		l.through = max(l.through, e.record.Sequence+1)
	}
	return nil
}

// divide settles what is trained on, what is held out, and what of that was so before.
func (l *lesson) divide(ctx context.Context) error {
	p, stored := l.sdk, l.stored
	all := fitting(p.merged(l.id, stored, l.fresh), l.head)
	for _, e := range all {
		switch known := e.record.Known; {
		case known && e.record.HeldOut():
			l.kept = append(l.kept, p.encode(e, l.head))
		case !known && !e.Rejected:
			l.unseen = append(l.unseen, e)
		}
	}
	if l.options.DropExamples {
		l.erase, l.stored = len(stored) > 0, nil
		all = fitting(p.merged(l.id, nil, l.fresh), l.head)
	}
	l.data = p.divide(all, l.head)
	if len(l.data.train)+len(l.data.held) == 0 {
		if l.person.Anew {
			return l.unlearn(ctx)
		}
		return fmt.Errorf("%w: none is stored that the profile's head could learn", ErrExample)
	}
	if len(l.data.train) == 0 { // so few that all would be kept back: none is
		l.data.train, l.data.held = l.data.held, nil
	}
	return nil
}

// run trains, measures both revisions on the same held-out examples, and installs the better one.
func (l *lesson) run(ctx context.Context) (*Report, error) {
	if err := l.sdk.setExams(ctx, []*lesson{l}); err != nil {
		return nil, err
	}
	if err := l.begin(ctx); err != nil {
		return nil, err
	}
	res, err := learner.Learn(ctx, l.sdk.env(l.bank), l.job, l.config)
	if err != nil {
		return nil, corrupt("bank", err)
	}
	return l.end(ctx, res)
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
	if l.from, l.began, err = l.start(); err != nil {
		return err
	}
	l.job = learner.Job{Head: head, Train: l.scale.apply(l.data.train), Held: l.scale.apply(l.data.held), Start: l.from}
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
	if err := l.commit(ctx, rec, res, rep); err != nil {
		return nil, err
	}
	return rep, nil
}

// commit stores what was learned, or only the examples if the gate kept the old revision. One transaction either way. What was trained on and judged waits no
// more, whatever the gate said.
func (l *lesson) commit(ctx context.Context, rec *store.Profile, res *learner.Result, rep *Report) error {
	p, w, served := l.sdk, l.write(rep), rec
	if rep.Installed {
		w.State = encodeState(res.Logits)
	} else {
		served = l.old.record
	}
	var err error
	if rep.Installed || l.erase { // examples are erased together with a revision
		_, err = p.store.Put(ctx, served, w)
	} else {
		err = p.store.Beside(ctx, l.id, w)
	}
	if err != nil {
		return err
	}
	if rep.Installed && l.old != nil && l.old.key != keyOf(l.bank.Digest(), rec) {
		p.cache.drop(l.old.key)
	}
	now, err := p.store.Get(l.id)
	if err != nil {
		return err
	}
	person, err := p.store.Person(l.id)
	if err != nil {
		return err
	}
	rep.Waiting = person.Waiting
	rep.Revision = now.Revision
	rep.MaskBytes = len(now.Mask.Bytes())
	rep.Bytes, err = recordBytes(now)
	return err
}

// write is what is stored beside the record.
func (l *lesson) write(rep *Report) store.Write {
	w := store.Write{DropExamples: l.options.DropExamples, IfRevision: new(uint64), Learned: l.through}
	if l.old != nil {
		*w.IfRevision = l.old.revision
	}
	if !w.DropExamples {
		w.Append = records(l.fresh)
		for i := range w.Append {
			w.Append[i].Known = true
		}
	}
	w.DropHistory = l.person.Anew
	l.tally.into(&w)
	note := w.Person
	w.Person = func(person *store.Person) {
		person.Anew = false
		note(person)
		rep.Prequential = prequentialOf(person.Notes)
	}
	return w
}

// record is the result as it will be stored. What is scored is what is stored: affine and bias are rounded to 8 bits.
func (l *lesson) record(res *learner.Result, scale scaling) (*store.Profile, error) {
	all := slices.Concat(l.data.train, l.data.held)
	rec := &store.Profile{ID: l.id, Bank: l.bankRef, Head: l.headRef, Mask: res.Mask, Examples: uint32(len(all))}
	if l.old != nil && l.options.DropExamples {
		rec.Examples += l.old.record.Examples
	}
	props := l.bank.Properties()
	if props.NormB && (l.config.Affine || l.config.Top > 0 || l.from.Affine != nil) {
		affine, err := props.EncodeAffine(res.Affine, l.bank.Affine())
		if err != nil {
			return nil, err
		}
		rec.Affine = affine
	}
	head := res.Head
	if l.headRef == 0 {
		head = scale.undo(head)
		head.Counts = count(all, head)
		data, err := head.MarshalBinary()
		if err != nil {
			return nil, err
		}
		rec.OwnHead = data
		return rec, nil
	}
	bias, err := encodeBias(res.Bias)
	if err != nil {
		return nil, err
	}
	rec.Bias = bias
	rec.Prior = l.counts(all)
	return rec, nil
}

// recordBytes is the size of a stored record.
func recordBytes(rec *store.Profile) (int, error) {
	data, err := store.EncodeProfile(rec)
	if err != nil {
		return 0, fmt.Errorf("sdk: size of a record: %w", err)
	}
	return len(data), nil
}
