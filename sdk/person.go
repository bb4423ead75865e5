package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/xpeft/xpeft/internal/folder"

	"github.com/xpeft/xpeft/store"
)

// confirmedWeight is what a confirmation counts beside a correction: it says that nothing has to
// change.
const confirmedWeight = 0.5

// Rejected stores, like Observe, that a text is not of a label, without the right one: a thumb
// down. Training then lowers that label's probability p by the loss −log(1 − p); the label prior
// does not count it, and nothing is measured on it. A text may have several labels rejected;
// whatever label it gets takes the place of all of them.
func (p *Folder) Rejected(ctx context.Context, id, text, label string) error {
	return p.Observe(ctx, id, Example{Text: text, Label: label, Rejected: true})
}

// Confirmed stores, like Observe, that a text was answered rightly: a thumb up. It counts half as
// much in training as a correction.
func (p *Folder) Confirmed(ctx context.Context, id, text, label string) error {
	return p.Observe(ctx, id, Example{Text: text, Label: label, Weight: confirmedWeight})
}

// Examples lists what is stored of what a profile was told, oldest first. It reads all of it at
// once.
func (p *Folder) Examples(ctx context.Context, id string) iter.Seq2[StoredExample, error] {
	return func(yield func(StoredExample, error) bool) {
		all, err := p.examples(ctx, id)
		if err != nil {
			yield(StoredExample{}, err)
			return
		}
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (p *Folder) examples(ctx context.Context, id string) ([]StoredExample, error) {
	leave, err := p.enterToRead(ctx, id)
	if err != nil {
		return nil, err
	}
	defer leave()
	return ReadExamples(p.store, id)
}

// ReadExamples is Folder.Examples for a program that opens a folder's store alone, without its
// model.
func ReadExamples(st *store.Store, id string) ([]StoredExample, error) {
	all, err := st.Examples(id)
	if err != nil {
		return nil, err
	}
	out := make([]StoredExample, len(all))
	for i, e := range all {
		out[i] = stored(e)
	}
	return out, nil
}

// enterToRead is enter for a call that reads one profile.
func (p *Folder) enterToRead(ctx context.Context, id string) (leave func(), err error) {
	return p.enter(ctx, p.options.Limits.checkID(id))
}

// ExpireExamples erases the examples of all profiles that are older than Options.ExampleAge and
// returns their number. Without it they are read by nothing any more, and are erased when their
// profile is next written to. Cost: a look at each profile's examples.
func (p *Folder) ExpireExamples(ctx context.Context) (int, error) {
	leave, err := p.enterToWrite()
	if err != nil {
		return 0, err
	}
	defer leave()
	n, err := p.store.Expire(ctx, "")
	if n > 0 {
		err = errors.Join(err, p.dropGathered())
		p.options.Logger.Info("erased examples over their age", "examples", n)
	}
	return n, err
}

// SetPrivate says whether a profile is kept out of all that is made of many: TrainHead, TrainBank
// and PendingLabels. It learns and answers as before, from what is its own. What a head or bank
// learned of it before stays in it. Options.Private does the same for whole prefixes. It holds
// until it is changed, whatever Rollback and Import do.
func (p *Folder) SetPrivate(ctx context.Context, id string, private bool) error {
	leave, err := p.enterToWrite(p.options.Limits.checkID(id))
	if err != nil {
		return err
	}
	defer leave()
	return p.store.Beside(ctx, id, store.Write{Person: func(person *store.Person) { person.Private = private }})
}

// private says whether a profile is kept out of what is made of many.
func (p *Folder) private(id string) (bool, error) {
	for _, prefix := range p.options.Private {
		if strings.HasPrefix(id, prefix) {
			return true, nil
		}
	}
	person, err := p.store.Person(id)
	return person.Private, err
}

var (
	// errNotDue ends a background learning: what was due was learned meanwhile.
	errNotDue = errors.New("sdk: not due any more")
	// errUnlearned ends one of a profile whose last example was taken back: there is nothing left
	// to learn.
	errUnlearned = errors.New("sdk: nothing is left to learn")
)

// ForgetExampleOptions say which example is erased. Nil, and every zero field, means the default.
type ForgetExampleOptions struct {
	Pair string // the second text of a pair; empty: the example is a single text
	// Candidates, in whatever order: the example is a choice among these, for a text that may be
	// empty
	Candidates []string
}

// ForgetExample erases what a profile was told of a text, or of a pair of texts, under whatever
// label: the stored example and, as both hold what was learned from it, the profile's state and
// earlier revisions. The profile is then learned anew in the background from what is left,
// beginning where a new profile does, and installed whatever its score; until that has ended (Drain
// waits for it) the old revision goes on serving. Without anything left it is served as if it were
// new. What was erased can no longer be read as Forget says: with Options.MasterKey because the
// profile's keys are destroyed, without once the pages are written again, or after Compact. A warm
// bank and a head that were trained on it keep what they learned. It waits for a Learn of the
// profile. ErrExampleNotFound if there is none of the text.
func (p *Folder) ForgetExample(ctx context.Context, id, text string, o *ForgetExampleOptions) error {
	leave, err := p.enterToWrite(p.options.Limits.checkID(id))
	if err != nil {
		return err
	}
	defer leave()
	unlock, ok := p.ids.lock(id, ctx.Done())
	if !ok {
		return ctx.Err()
	}
	defer unlock()
	if _, err := p.store.Get(id); err != nil {
		return err
	}
	o = cmp.Or(o, &ForgetExampleOptions{})
	if err := p.dropGathered(); err != nil { // and once more below, of a training that gathers until then
		return err
	}
	pair := o.Pair
	if o.Candidates != nil {
		if pair, err = folder.ChoicePair(o.Candidates); err != nil {
			return err
		}
	}
	_, err = p.store.ForgetExample(ctx, id, p.options.texts.Key(text, pair))
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w: profile %.40q", ErrExampleNotFound, id)
	}
	if err != nil {
		return err
	}
	p.options.Logger.Info("forgot an example")
	return errors.Join(p.dropGathered(), p.observer.note(p, id))
}

// unlearn makes the profile what it was before it was told anything, and ends its learning.
func (l *learning) unlearn(ctx context.Context) error {
	rec, err := l.sdk.untrained(l.id)
	if err != nil {
		return err
	}
	w := store.Write{IfRevision: &l.old.revision, DropState: true, DropHistory: true, Learned: l.through,
		Person: func(person *store.Person) { person.Anew = false }}
	if _, err := l.sdk.store.Put(ctx, rec, w); err != nil {
		return err
	}
	l.sdk.cache.drop(l.old.key)
	return errUnlearned
}
