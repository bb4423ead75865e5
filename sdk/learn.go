//go:build cgo

package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// Learn teaches a profile its user's examples, and makes the profile if it is new. It trains on these examples and on those stored before, keeps three in
// ten of them back for ever, and installs the new revision only if it is no worse on those; Report.Installed and Reason say so. The examples
// are stored either way, unless DropExamples. A first revision is always installed. Cost: seconds; Predict goes on meanwhile. With ctx done it
// ends within one training step and leaves everything as it was.
func (p *SDK) Learn(ctx context.Context, id string, examples []Example, o *LearnOptions) (*Report, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	began := time.Now()
	opts, err := p.learnOptions(id, examples, o)
	if err != nil {
		return nil, err
	}
	unlock, ok := p.ids.lock(id, ctx.Done())
	if !ok {
		return nil, ctx.Err()
	}
	defer unlock()
	select {
	case p.learns <- struct{}{}:
		defer func() { <-p.learns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	l, err := p.newLesson(ctx, id, examples, opts)
	if err != nil {
		return nil, err
	}
	rep, err := l.run(ctx)
	if err != nil {
		return nil, err
	}
	p.counters.learns.Add(1)
	rep.Took = time.Since(began)
	p.options.Logger.Info("learned", "installed", rep.Installed, "reason", rep.Reason, "revision", rep.Revision,
		"before", rep.Before.Accuracy, "after", rep.After.Accuracy, "examples", rep.Examples, "took", rep.Took)
	return rep, nil
}

// lesson is one Learn in progress.
type lesson struct {
	sdk     *SDK
	id      string
	options LearnOptions
	config  learner.Config
	fresh   []Example // given now

	old     *snapshot // nil for a new profile
	bank    *bank.Bank
	bankRef uint32
	head    *model.Head // where the head starts
	headRef uint32      // 0: the profile's own
	data    split2
	before  Score
}

func (p *SDK) newLesson(ctx context.Context, id string, examples []Example, o LearnOptions) (*lesson, error) {
	l := &lesson{sdk: p, id: id, options: o, fresh: examples}
	old, err := p.snapshot(id)
	switch {
	case err == nil:
		l.old, l.bank, l.bankRef = old, old.bank, old.record.Bank
	case errors.Is(err, ErrProfileNotFound):
		if l.bankRef, err = p.defaultBank(); err != nil {
			return nil, err
		}
		if l.bank, err = p.bank(l.bankRef); err != nil {
			return nil, err
		}
	default:
		return nil, err
	}
	stored, err := p.stored(id, l.old != nil && !o.DropExamples)
	if err != nil {
		return nil, err
	}
	all := latest(append(stored, examples...))
	if err := l.chooseHead(ctx, all); err != nil {
		return nil, err
	}
	if l.data, err = p.divide(id, all, l.head); err != nil {
		return nil, err
	}
	l.config = p.learnConfig(o, l.headRef == 0)
	return l, nil
}

// run trains, measures both revisions on the same held-out examples, and installs the better one.
func (l *lesson) run(ctx context.Context) (*Report, error) {
	p := l.sdk
	before, err := l.scoreBefore(ctx)
	if err != nil {
		return nil, err
	}
	head, scale := l.standardise()
	job := learner.Job{Head: head, Train: scale.apply(l.data.train), Held: scale.apply(l.data.held), Start: l.start(ctx)}
	if l.headRef != 0 {
		job.Prior = head.Prior(l.data.counts(l.data.train, head), priorStrength)
	}
	res, err := learner.Learn(ctx, p.env(l.bank), job, l.config)
	if err != nil {
		return nil, err
	}
	rec, err := l.record(res, scale)
	if err != nil {
		return nil, err
	}
	after, err := l.scoreRecord(ctx, rec)
	if err != nil {
		return nil, err
	}
	rec.Before, rec.After = float32(before.Accuracy), float32(after.Accuracy)
	rep := &Report{Profile: l.id, Before: before, After: after, Examples: len(l.data.train), HeldOut: len(l.data.held),
		Losses: res.Losses, Steps: res.Steps, MaskBytes: len(rec.Mask.Bytes())}
	rep.Installed, rep.Reason = l.gate(before, after)
	return rep, l.commit(ctx, rec, res, rep)
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
	case worse && l.options.Force:
		return true, "installed by force: worse on the held-out examples"
	case worse:
		return false, "kept the old revision: the new one is worse on the held-out examples"
	}
	return true, "installed: no worse on the held-out examples"
}

// commit stores what was learned, or only the examples if the gate kept the old revision. One transaction either way.
func (l *lesson) commit(ctx context.Context, rec *store.Profile, res *learner.Result, rep *Report) error {
	p, keep := l.sdk, storedExamples(l.fresh)
	if l.options.DropExamples {
		keep = nil
	}
	if !rep.Installed {
		rep.Revision, rep.Bytes = l.old.revision, 0
		if keep == nil {
			return nil
		}
		return p.store.AppendExamples(ctx, l.id, keep)
	}
	expected := uint64(0)
	if l.old != nil {
		expected = l.old.revision
	}
	revision, err := p.store.Put(ctx, rec, store.Write{IfRevision: &expected, State: encodeState(res.Logits), Append: keep, DropExamples: l.options.DropExamples})
	if err != nil {
		return err
	}
	rec.Revision = revision
	rep.Revision = revision
	rep.Bytes, err = p.recordBytes(rec)
	return err
}

// record is the result as it will be stored. What is scored is what is stored: affine and bias are rounded to 8 bits.
func (l *lesson) record(res *learner.Result, scale scaling) (*store.Profile, error) {
	rec := &store.Profile{ID: l.id, Bank: l.bankRef, Head: l.headRef, Mask: res.Mask, Examples: uint32(len(l.data.train) + len(l.data.held))}
	if l.old != nil {
		rec.Created = l.old.record.Created
	}
	props := l.bank.Properties()
	if props.NormB && l.config.Affine {
		affine, err := props.EncodeAffine(res.Affine, l.bank.Affine())
		if err != nil {
			return nil, err
		}
		rec.Affine = affine
	}
	head := res.Head
	if l.headRef == 0 {
		head = scale.undo(head)
		head.Counts = l.data.counts(slices.Concat(l.data.train, l.data.held), head)
		data, err := head.MarshalBinary()
		if err != nil {
			return nil, err
		}
		rec.OwnHead = data
		return rec, nil
	}
	rec.Bias = encodeBias(res.Bias)
	rec.Prior = l.data.counts(slices.Concat(l.data.train, l.data.held), head)
	return rec, nil
}

// scoreBefore is the old revision's score, or the base's for a new profile.
func (l *lesson) scoreBefore(ctx context.Context) (Score, error) {
	if l.old == nil || !slices.Equal(l.old.head.Labels, l.head.Labels) {
		return l.score(ctx, nil, l.head, nil)
	}
	counts := l.data.counts(l.data.train, l.head)
	if l.options.DropExamples {
		counts = l.old.record.Prior
	}
	return l.scoreSnapshot(ctx, l.old, counts)
}

func (l *lesson) scoreRecord(ctx context.Context, rec *store.Profile) (Score, error) {
	snap, err := l.sdk.open(rec)
	if err != nil {
		return Score{}, err
	}
	return l.scoreSnapshot(ctx, snap, l.data.counts(l.data.train, l.head))
}

// scoreSnapshot measures a revision as it would be served, but with a prior that has not seen the held-out examples.
func (l *lesson) scoreSnapshot(ctx context.Context, snap *snapshot, counts []uint32) (sc Score, err error) {
	if len(l.data.held) == 0 {
		return Score{}, nil
	}
	var f *bank.Folded
	err = l.sdk.engine.Do(ctx, func(s *torch.Scope) error {
		f, err = snap.bank.Fold(s, snap.mask, snap.affine)
		return err
	})
	if err != nil {
		return Score{}, err
	}
	defer f.Free()
	return l.score(ctx, f, snap.head, snap.offsetWith(counts))
}

func (l *lesson) score(ctx context.Context, f *bank.Folded, h *model.Head, offset []float32) (Score, error) {
	sc, err := learner.Evaluate(ctx, l.sdk.env(l.bank), f, h, offset, l.data.held)
	return Score{N: sc.N, Accuracy: sc.Accuracy, Loss: sc.Loss}, err
}

// start is where training begins: the profile's own logits, else its mask, else what the population uses, else fresh ones.
func (l *lesson) start(ctx context.Context) (st learner.Start) {
	p, props := l.sdk, l.bank.Properties()
	if l.old == nil {
		st.Logits = p.population(ctx, l.bankRef, props, l.config)
		return st
	}
	if state, err := p.store.State(l.id); err == nil {
		st.Logits = decodeState(state, props.N, props.Blocks)
	}
	if st.Logits == nil {
		st.Logits = learner.FromMask(l.old.mask)
	}
	st.Affine = l.old.affine
	if l.headRef != 0 && slices.Equal(l.old.head.Labels, l.head.Labels) {
		st.Bias = l.old.bias
	}
	return st
}

func (p *SDK) recordBytes(rec *store.Profile) (int, error) {
	data, err := store.EncodeProfile(rec)
	if err != nil {
		return 0, fmt.Errorf("sdk: size of a record: %w", err)
	}
	return len(data), nil
}
