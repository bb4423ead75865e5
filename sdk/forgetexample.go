package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/store"
)

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
