package sdk

import (
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// Observe stores an example of a profile before it returns, and teaches the profile in the
// background once enough are new: Options.ObserveEvery, or as many as it has learned from if that
// is fewer, at least 4; from the first one on where TrainBank has found axes or biases. What waits
// is stored too: it is learned when enough has come, whatever learned meanwhile, and after Close, a
// crash and Open. One text counts once: a later label replaces the earlier one, and the same again
// makes nothing due (docs/learning.md says what one text is). Options.Limits.Examples of a profile
// are kept, of each label some, and replayed. A profile that is new is served at once by the shared
// head with the label prior of what was observed. Profiles that are due learn in the background, up
// to 32 of them together as by LearnMany, and are judged as by Learn; Options.OnLearned hears of
// each. Cost: one transaction. Errors are those of Learn for a bad example or an unknown label.
func (p *Folder) Observe(ctx context.Context, id string, e Example) error {
	leave, err := p.enterToWrite(ofProfile(id, p.options.Limits.checkID(id)), p.checkExamples(id, []Example{e}))
	if err != nil {
		return err
	}
	defer leave()
	ctx, end := p.options.span(ctx, "observe")
	err = p.observe(ctx, id, records([]Example{e})[0])
	end(err)
	return ofProfile(id, err)
}

func (p *Folder) observe(ctx context.Context, id string, e store.Example) (err error) {
	for range 3 { // a Forget or another first Observe may come between
		err = p.observeOnce(ctx, id, e)
		if !errors.Is(err, ErrProfileNotFound) && !errors.Is(err, ErrConflict) {
			break
		}
	}
	return err
}

func (p *Folder) observeOnce(ctx context.Context, id string, e store.Example) error {
	snap, err := p.snapshot(id)
	if errors.Is(err, ErrProfileNotFound) {
		return p.observeFirst(ctx, id, e)
	}
	if err != nil {
		return err
	}
	if err := p.takes(e, snap.head); err != nil {
		return ofExample(id, 0, e.Label, err)
	}
	if !learned(snap.record) && !folder.IsChoice(e.Label) {
		// a Learn of the profile that is under way will set its prior, and must find its revision
		// again
		if unlock, ok := p.ids.try(id); ok {
			defer unlock()
			return p.observeMore(ctx, id, e)
		}
	}
	if err := p.store.AppendExamples(ctx, id, []store.Example{e}); err != nil {
		return err
	}
	return p.observer.note(p, id)
}

// observeMore counts the labels of a profile that has learned nothing yet anew, so that its prior
// knows of every example.
func (p *Folder) observeMore(ctx context.Context, id string, e store.Example) error {
	snap, err := p.snapshot(id)
	if err != nil {
		return err
	}
	if learned(snap.record) { // meanwhile
		return ErrConflict
	}
	stored, err := p.store.Examples(id)
	if err != nil {
		return err
	}
	rec := *snap.record
	rec.Prior = p.counted(p.learnable(p.store.Merged(id, stored, []store.Example{e}), snap.head), snap.head)
	if _, err := p.store.Put(ctx, &rec,
		store.Write{IfRevision: &snap.revision, Append: []store.Example{e}}); err != nil {
		return err
	}
	return p.observer.note(p, id)
}

// observeFirst makes a profile that has learned nothing yet: a prior of the one label.
func (p *Folder) observeFirst(ctx context.Context, id string, e store.Example) error {
	rec, err := p.untrained(id)
	if err != nil {
		return err
	}
	snap, err := p.open(rec)
	if err != nil {
		return err
	}
	if err := p.takes(e, snap.head); err != nil {
		return ofExample(id, 0, e.Label, err)
	}
	rec.Prior = p.counted([]store.Example{e}, snap.head)
	_, err = p.store.Put(ctx, rec, store.Write{IfRevision: new(uint64), Append: []store.Example{e}})
	if err != nil {
		return err
	}
	return p.observer.note(p, id)
}

// untrained is the record of a profile that has learned nothing: no digits, or the mask of equal
// logits. LN_b, where the bank has one, is off in it, so that it is served as the base is.
func (p *Folder) untrained(id string) (*store.Profile, error) {
	digits, err := p.newcomersDigits()
	if err != nil {
		return nil, err
	}
	_, head, err := p.shared()
	if err != nil || digits {
		return &store.Profile{ID: id, Head: head}, err
	}
	ref, b, err := p.newcomersBank()
	if err != nil {
		return nil, err
	}
	props, rec := b.Properties(), &store.Profile{ID: id, Bank: ref, Head: head}
	if rec.Mask, err = learner.NewLogits(props.N, props.Blocks).Mask(p.kOver(b)); err != nil {
		return nil, err
	}
	if props.NormB {
		rec.Affine, err = props.EncodeAffine(make([]float32, props.AffineElems()), b.Affine())
	}
	return rec, err
}

// Drain waits until no profile is due, none learns and no bank is trained in the background, or
// until ctx is done. What is left waits for more: fewer examples than Observe says, or those of a
// profile whose learning failed.
func (p *Folder) Drain(ctx context.Context) error {
	leave, err := p.lifetime.enter()
	if err != nil {
		return err
	}
	defer leave()
	if p.options.ReadOnly {
		return ctx.Err()
	}
	for _, idle := range []func() <-chan struct{}{func() <-chan struct{} { return p.observer.idle(p) }, p.banker.idle} {
		if done := idle(); done != nil {
			select {
			case <-done:
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}

// LearnWaiting learns at once what Observe would learn of a profile in the background, for folders
// with Options.NoBackground. If nothing is due it returns no report.
func (p *Folder) LearnWaiting(ctx context.Context, id string) (*Report, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return nil, err
	}
	defer leave()
	r := p.relearn(ctx, []string{id})[0]
	return r.Report, r.Err
}

// relearn teaches profiles what they have stored.
func (p *Folder) relearn(ctx context.Context, ids []string) []LearnResult {
	out, tasks := make([]LearnResult, len(ids)), make([]*task, len(ids))
	for i, id := range ids {
		tasks[i] = &task{LearnRequest: LearnRequest{Profile: id}, result: &out[i]}
	}
	opts, err := (*LearnOptions)(nil).withDefaults()
	if opts.background = true; err == nil {
		p.learnAll(ctx, tasks, opts)
	}
	for i := range out {
		switch e := errors.Join(err, out[i].Err); {
		case errors.Is(e, errNotDue), errors.Is(e, errUnlearned):
			out[i].Err = nil
		case e != nil:
			out[i].Err = fmt.Errorf("learning what was observed: %w", e)
		}
	}
	return out
}
