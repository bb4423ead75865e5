package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// lesson is one profile's part of a Learn: each of its parts is settled by one step of teach.
type lesson struct {
	sdk     *SDK
	id      string
	options LearnOptions
	fresh   []store.Example // given now
	known
	aim
	divided
	begun
}

// known is what was there before.
type known struct {
	old     *snapshot // nil for a new profile
	person  store.Person
	stored  []store.Example // given before
	through uint64          // the first Sequence after those
}

// aim is what is learned.
type aim struct {
	digits  bool       // a code of digits over the folder's axes; else masks over a bank
	biases  float64    // precision of those that take the label prior's place; 0: none do
	joint   *jointBank // that a code may be along instead; nil: none
	move    bool       // to the newcomers' bank and the newest shared head, or from digits to masks, or back
	narrows bool       // from adapters in more blocks than the engine trains to the last ones of them
	bank    *bank.Bank // of masks
	bankRef uint32
	head    *model.Head // where the head starts
	headRef uint32      // 0: the profile's own
	texts   *jointBank  // that know what the shared head says of single texts; nil: none do
	rows    int         // of a shared head, the last ones: the profile's own
	config  learner.Config
}

// divided are the examples.
type divided struct {
	data   split2
	all    []learner.Example
	merged []store.Example // all of them, as they are stored
	since  uint64          // the sequence from which on they count in full

	reconsidered bool              // since is this lesson's
	kept         []learner.Example // of data.held: held out before this Learn too, with the same labels
	unseen       []learner.Example // what no training has seen yet
	erase        bool              // there are stored ones to erase
}

// begun is what was served before, and where training begins.
type begun struct {
	exam   exam
	before Score
	tally  prequentialTally
	scale  scaling
	began  Start
	job    learner.Job
}

func (p *SDK) newLesson(ctx context.Context, id string, examples []Example, o LearnOptions) (*lesson, error) {
	l := &lesson{sdk: p, id: id, options: o, fresh: records(examples), aim: aim{move: o.move}}
	old, err := p.snapshot(id)
	switch {
	case err == nil:
		l.old, l.bank, l.bankRef = old, old.bank, old.record.Bank
	case !errors.Is(err, ErrProfileNotFound) || o.move:
		return nil, err
	}
	if l.digits, err = l.byDigits(); err != nil {
		return nil, err
	}
	if l.old != nil && (l.digits != l.old.digits() || l.bank != nil && !p.trains(l.bank)) {
		l.move = true
	}
	if l.digits {
		if err := l.chooseJoint(); err != nil {
			return nil, err
		}
		if l.biases, err = p.biasPrecision(); err != nil {
			return nil, err
		}
	}
	if !l.digits && (l.old == nil || l.move) {
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
	for i, e := range l.fresh {
		if err := fits(e, l.head); err != nil {
			return nil, fmt.Errorf("example %d: %w", i, err)
		}
	}
	if err := l.divide(ctx); err != nil {
		return nil, err
	}
	if !l.digits {
		l.config = l.learnConfig()
		l.narrows = l.config.Top > 0 && l.old != nil && learned(l.old.record) && !l.move && !l.bareBelow(p.engine.Trains())
	}
	return l, nil
}

// byDigits says whether the profile gets a code of digits: it shares a head, and nobody asked for another training.
func (l *lesson) byDigits() (bool, error) {
	if l.options.Config != nil || l.kind() != SharedHead {
		return false, nil
	}
	return l.sdk.newcomersDigits()
}

// readStored reads what the profile was given before.
func (l *lesson) readStored() (err error) {
	if l.person, err = l.sdk.store.Person(l.id); err != nil {
		return err
	}
	if l.options.background && !l.sdk.observer.due(store.Waiting{Examples: l.person.Waiting, Anew: l.person.Anew, Learned: int(l.old.record.Examples)}) {
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

// divide settles what is trained on, what is held out, and what of that was so before.
func (l *lesson) divide(ctx context.Context) error {
	merged := fitting(l.sdk.store.Merged(l.id, l.stored, l.fresh), l.head)
	all := l.sdk.encode(merged, l.head)
	for _, e := range all {
		switch {
		case e.Known && e.Held:
			l.kept = append(l.kept, e)
		case !e.Known && !e.Rejected:
			l.unseen = append(l.unseen, e)
		}
	}
	if l.options.DropExamples {
		l.erase, l.stored = len(l.stored) > 0, nil
		merged = fitting(l.sdk.store.Merged(l.id, nil, l.fresh), l.head)
		all = l.sdk.encode(merged, l.head)
	}
	if err := l.weigh(all); err != nil {
		return err
	}
	l.all, l.merged = all, merged
	if l.data = divide(all); l.digits { // which holds nothing back
		l.data = split2{train: all}
	}
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

// weigh makes labels count as much as LearnOptions.ClassWeights says.
func (l *lesson) weigh(examples []learner.Example) error {
	for label, w := range l.options.ClassWeights {
		class, ok := l.head.Label(label)
		if !ok {
			return fmt.Errorf("%w: a weight of %.40q, which is none of the profile's %s", ErrUnknownLabel, label, listed(l.head.Labels))
		}
		for i := range examples {
			if examples[i].Class == class {
				examples[i].Weight = weightOf(examples[i].Weight) * float32(w)
			}
		}
	}
	return nil
}

// commit stores what was learned, or only the examples if the gate kept the old revision. One transaction either way. What was trained on and judged waits no
// more, whatever the gate said.
func (l *lesson) commit(ctx context.Context, rec *store.Profile, state []byte, rep *Report) error {
	p, w, served := l.sdk, l.write(rep), rec
	if rep.Installed {
		w.State = state
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
	now, err := p.snapshot(l.id)
	if err != nil {
		return err
	}
	if l.old != nil && l.old.key != now.key {
		p.cache.drop(l.old.key)
	}
	person, err := p.store.Person(l.id)
	if err != nil {
		return err
	}
	rep.Waiting = person.Waiting
	rep.Revision = now.revision
	rep.MaskBytes = now.record.MaskBytes()
	rep.Bytes, err = recordBytes(now.record)
	return err
}

// write is what is stored beside the record.
func (l *lesson) write(rep *Report) store.Write {
	w := store.Write{DropExamples: l.options.DropExamples, IfRevision: new(uint64), Learned: l.through}
	if l.old != nil {
		*w.IfRevision = l.old.revision
	}
	if !w.DropExamples {
		w.Append = slices.Clone(l.fresh)
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
	if props.NormB && (l.config.Affine || l.config.Top > 0 || l.job.Start.Affine != nil) {
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
	if l.rows == 0 {
		return rec, nil
	}
	shared := len(head.Labels) - l.rows
	own := head.Rows(shared)
	own.Counts = rec.Prior[shared:]
	rec.OwnHead, err = own.MarshalBinary()
	return rec, err
}

// recordBytes is the size of a stored record.
func recordBytes(rec *store.Profile) (int, error) {
	data, err := store.EncodeProfile(rec)
	if err != nil {
		return 0, fmt.Errorf("sdk: size of a record: %w", err)
	}
	return len(data), nil
}
