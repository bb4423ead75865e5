package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// learning is one profile's part of a Learn. newLearning decides all but what is said of single
// fields.
type learning struct {
	sdk     *Folder
	id      string
	options LearnOptions

	// What was there before.
	old     *snapshot // nil for a new profile
	person  store.Person
	stored  []store.Example
	through uint64                   // the first Sequence after those
	since   uint64                   // the sequence from which on examples count in full
	kept    map[uint32]digits.Answer // what the training of old answered out of fold
	heldOut bool                     // old is of a version that held examples back

	// What is learned.
	digits bool       // a code of digits over the folder's axes; else masks over a bank
	biases float64    // precision of those that take the label prior's place; 0: none do
	joint  *jointBank // that a code may be along instead; nil: none
	// to the newcomers' bank and the newest shared head, from digits to masks or back, or from the
	// pooled embedding of an earlier version to φ
	move     bool
	narrows  bool       // from adapters in more blocks than the engine trains to the last ones of them
	goesOn   bool       // from the weights of old, which has learned from none of the examples; else from nothing
	bank     *bank.Bank // of masks
	bankRef  uint32
	head     *model.Head // where the head starts
	headRef  uint32      // 0: the profile's own
	texts    *jointBank  // that know what the shared head says of single texts; nil: none do
	rows     int         // of a shared head, the last ones: the profile's own
	config   learner.Config
	fresh    []store.Example // given now
	merged   []store.Example // what is learned from, new and stored
	each     int             // how many in a row are of one text: 1, or of Config.Multi one for each label
	examples []learner.Example
	offers   []store.Example // the choices among candidates that are there too
	erase    bool            // there are stored ones to erase

	order        *store.Code      // the row that orders candidates; nil: none
	ordered      *OrderReport     // nil: it stayed as it was
	outcome                       // of the trainings
	phi          []float32        // of digits: φ of the examples
	beyond       []float32        // of digits: what biases in the label prior's place are beyond it; nil: it serves
	masks        *masking         // of masks
	reconsidered bool             // since is this learning's
	tally        prequentialTally // of the examples that no training had seen
}

func (p *Folder) newLearning(ctx context.Context, id string, examples []Example, o LearnOptions) (*learning, error) {
	l := &learning{sdk: p, id: id, options: o, fresh: append(records(examples), o.fresh...), move: o.move}
	old, err := p.snapshot(id)
	switch {
	case err == nil:
		l.old, l.bank, l.bankRef = old, old.bank, old.record.Bank
	case !errors.Is(err, ErrProfileNotFound) || o.move:
		return nil, err
	}
	if err := l.readStored(); err != nil {
		return nil, err
	}
	l.each = 1
	if err := l.chooseKind(); err != nil {
		return nil, err
	}
	if err := l.chooseHead(ctx); err != nil {
		return nil, err
	}
	if err := l.gather(ctx); err != nil || l.onlyOrder() {
		return l, err
	}
	if err := l.readAnswers(); err != nil {
		return nil, err
	}
	if !l.digits {
		l.config = l.learnConfig()
		l.narrows = l.config.Top > 0 && !l.first() && !l.move && !l.old.bareBelow(p.engine.Trains())
	}
	return l, nil
}

// readStored reads what the profile was given before.
func (l *learning) readStored() (err error) {
	if l.old == nil {
		return nil
	}
	if l.person, err = l.sdk.store.Person(l.id); err != nil {
		return err
	}
	if l.options.background && !l.sdk.observer.due(store.Waiting{Examples: l.person.Waiting, Anew: l.person.Anew,
		Learned: int(l.old.record.Examples)}) {
		return errNotDue
	}
	if l.stored, err = l.sdk.store.Examples(l.id); err != nil {
		return err
	}
	for _, e := range l.stored {
		l.through = max(l.through, e.Sequence+1)
	}
	return nil
}

// chooseKind decides whether the profile is digits or masks, and along which axes or over which
// bank.
func (l *learning) chooseKind() (err error) {
	p := l.sdk
	if l.options.Config == nil && l.kind() == SharedHead { // else another training was asked for
		if l.digits, err = p.newcomersDigits(); err != nil {
			return err
		}
	}
	if l.old != nil && (l.digits != l.old.digits() || l.bank != nil && !p.trains(l.bank) ||
		l.old.head.Hidden != p.width()) {
		l.move = true
	}
	if l.digits {
		if l.biases, err = p.biasPrecision(); err != nil {
			return err
		}
		return l.chooseJoint()
	}
	seen := func(e store.Example) bool { return e.Known }
	l.goesOn = l.old != nil && l.old.mask != nil && !l.first() && !l.move && !l.person.Anew &&
		(l.options.DropExamples || !slices.ContainsFunc(l.stored, seen))
	if l.bank == nil || l.move {
		l.bankRef, l.bank, err = p.newcomersBank()
	}
	return err
}

// gather puts new and stored examples together.
func (l *learning) gather(ctx context.Context) error {
	if err := l.checkFresh(); err != nil {
		return err
	}
	if l.options.DropExamples {
		l.erase, l.stored = len(l.stored) > 0, nil
	}
	all := l.sdk.store.Merged(l.id, l.stored, l.fresh)
	l.merged, l.offers = l.sdk.learnable(all, l.head), offers(all)
	if l.sdk.options.multi {
		l.merged, l.each = decisions(l.merged, l.head), len(l.head.Labels)
	}
	l.examples = l.sdk.encode(l.merged, l.head)
	switch {
	case len(l.examples) > 0:
		return l.weigh()
	case len(l.offers) > 0:
		return nil
	case l.person.Anew:
		return l.unlearn(ctx)
	}
	return fmt.Errorf("%w: none is stored that the profile's head could learn", ErrExample)
}

// weigh makes labels count as much as LearnOptions.ClassWeights says.
func (l *learning) weigh() error {
	for label, w := range l.options.ClassWeights {
		class, ok := l.head.Label(label)
		if !ok {
			return ofExample(l.id, -1, label, fmt.Errorf("%w: a weight of %.40q, which is none of the profile's %s",
				ErrUnknownLabel, label, listed(l.head.Labels)))
		}
		for i := range l.examples {
			if e := &l.examples[i]; e.Class == class && (l.each == 1 || !e.Rejected) {
				e.Weight = weightOf(e.Weight) * float32(w)
			}
		}
	}
	return nil
}

// first says whether nothing was learned before: the base and the label prior have served.
func (l *learning) first() bool { return l.old == nil || !learned(l.old.record) }

// learned tells a profile that was trained from one that was only observed.
func learned(rec *store.Profile) bool { return rec.Examples > 0 }

// compares says whether old and new revision can be measured against each other: both have labels,
// or both give numbers.
func (l *learning) compares() bool {
	return l.old != nil && l.old.head.Regression() == l.head.Regression()
}

// pick are some of the examples; those from before a change weigh less.
func (l *learning) pick(which []int) []learner.Example {
	out := make([]learner.Example, len(which))
	for n, i := range which {
		if out[n] = l.examples[i]; l.faded(i) {
			out[n].Weight = weightOf(out[n].Weight) * fadedWeight
		}
	}
	return out
}

// counts of the labels in a part, for the prior of the new revision; with DropExamples those
// learned before are known by their counts only.
func (l *learning) counts(part []learner.Example) []uint32 {
	out := count(part, l.head)
	if l.sdk.options.multi {
		return l.countsOfSets(out, len(part)/l.each)
	}
	if l.options.DropExamples && l.old != nil && l.headRef != 0 && l.headRef == l.old.record.Head {
		for c, n := range l.old.record.Prior {
			if c >= len(l.old.head.Labels) {
				break
			}
			if at, ok := l.head.Label(l.old.head.Labels[c]); ok {
				out[at] += n
			}
		}
	}
	return out
}

// numbered are the numbers from one up to another.
func numbered(from, to int) (which []int) {
	for i := from; i < to; i++ {
		which = append(which, i)
	}
	return which
}
