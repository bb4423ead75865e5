package fleet

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// work is what a learner does with the operations of one profile.
type work struct {
	n    *Node
	p    int
	name string
	id   string
	key  []byte    // of the profile, as the servers have it in this round; nil: not read, or none
	seen uint64    // the newest operation that was read, and is done with unless there is an error
	seq  uint64    // of the value that the folder has
	at   time.Time // when it was written
	v    value
	ops  []queuedOp

	recent []opID // operations that are in the value, or in the folder

	reset   bool     // the folder was made the value's: the node's own operations must be repeated
	changed bool     // the folder has what the value has not
	answers []answer // to send once the value has it
}

// queuedOp is an operation in the stream.
type queuedOp struct {
	op
	seq uint64
}

// mostOps is how many operations of a profile are done at once.
const mostOps = 256

// process does what waits of one profile, and returns through which operation that was.
func (n *Node) process(ctx context.Context, p int, name string) (through uint64, err error) {
	defer n.leases.lock(name)()
	l, ctx, err := n.acquire(ctx, name)
	if err != nil {
		return 0, err
	}
	defer l.release()
	w := &work{n: n, p: p, name: name}
	for more := true; more && err == nil; {
		more, err = w.round(ctx)
	}
	if err != nil && w.id != "" { // the folder may have what the fleet has not
		if e := n.refresh(n.ctx, name); e != nil && n.ctx.Err() == nil {
			n.config.Logger.Warn("taking back what was not written", "error", e)
		}
	}
	return w.seen, err
}

// round does some operations, and says whether there may be more.
func (w *work) round(ctx context.Context) (more bool, err error) {
	if err := w.readValue(ctx); err != nil {
		return false, err
	}
	if more, err = w.readOps(ctx); err != nil || len(w.ops) == 0 {
		return false, err
	}
	w.id = w.ops[0].Profile
	half, err := w.n.state.fold(w.name, w.id)
	if err != nil {
		return false, err
	}
	unlock := w.n.locks.lock(w.name)
	defer func() { unlock() }()
	done, err := w.prepare(ctx, half)
	if err != nil {
		return false, err
	}
	for _, o := range w.ops[done:] {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		w.changed = true // refused ones too: the value says through which operation it goes
		switch o.Kind {
		case opForget:
			err = w.forget(ctx, o)
		case opLearn:
			unlock()
			err = w.learn(ctx, o)
			unlock = w.n.locks.lock(w.name)
			if err == nil {
				err = w.commit(ctx, o.seq)
			}
		case opRead:
			err = w.read(ctx, o)
		default:
			err = applyOp(ctx, w.n.folder, o.op)
			w.answer(o, answer{}, err)
			if err = notOurs(err); o.Kind == opImport && errors.Is(err, sdk.ErrCorrupt) {
				err = nil // a damaged bundle, which was answered
			}
		}
		if err != nil {
			return false, err
		}
	}
	if err := w.finish(ctx, &unlock); err != nil {
		return false, err
	}
	return more, w.n.state.unfold(w.name)
}

// notOurs lets pass what an operation itself is to blame for: it was answered, and is done with.
func notOurs(err error) error {
	if err == nil || reasonOf(err) != "" && !errors.Is(err, sdk.ErrFull) && !errors.Is(err, sdk.ErrCorrupt) {
		return nil
	}
	return err
}

// finish writes the rest, and learns if enough is new.
func (w *work) finish(ctx context.Context, unlock *func()) error {
	last := w.ops[len(w.ops)-1].seq
	if err := w.commit(ctx, last); err != nil {
		return err
	}
	if err := w.learnWaiting(ctx, last, unlock); err != nil {
		return err
	}
	if w.reset {
		return w.n.repeat(ctx, w.name)
	}
	return nil
}

// learnWaiting learns what was observed, if that is due.
func (w *work) learnWaiting(ctx context.Context, last uint64, unlock *func()) error {
	if info, err := w.n.folder.Profile(ctx, w.id); err != nil || info.Waiting == 0 && !w.erased() {
		return nil
	}
	(*unlock)()
	rep, err := w.n.folder.LearnWaiting(ctx, w.id)
	*unlock = w.n.locks.lock(w.name)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if f := w.n.config.Folder; f != nil && f.OnLearned != nil && (rep != nil || err != nil) {
		f.OnLearned(w.id, rep, err)
	}
	if err != nil {
		w.n.config.Logger.Warn("learning what was observed", "error", err)
	}
	if w.changed = rep != nil || w.erased(); w.changed {
		w.n.counts.learned.Add(1)
	}
	return w.commit(ctx, last)
}

// erased says whether an example was taken back: a profile with nothing left learns without report.
func (w *work) erased() bool {
	return slices.ContainsFunc(w.ops, func(o queuedOp) bool { return o.Kind == opErase })
}

// readValue reads what the fleet has.
func (w *work) readValue(ctx context.Context) error {
	msg, err := w.n.last(ctx, w.n.valuesStream(w.p), w.n.valueSubject(w.p, personKey+w.name))
	w.seq, w.v, w.key, w.recent = 0, value{}, nil, nil
	if err != nil || msg == nil {
		return err
	}
	w.seq, w.at = msg.Sequence, msg.Time
	if w.v, err = decodeValue(msg.Data); err != nil {
		return err
	}
	if w.v.gone { // a learner may have ended before it destroyed the key
		return w.n.destroyKey(ctx, w.p, w.name)
	}
	if w.key, err = w.n.readKey(ctx, w.p, w.name); err != nil {
		return err
	}
	if w.key == nil {
		return w.lost(ctx)
	}
	who, err := w.v.open(w.key, w.n.valueSubject(w.p, personKey+w.name))
	if w.recent = who.recent; err == nil {
		w.n.keys.put(w.name, w.key)
	}
	return err
}

// lost writes that there is nobody any more, of somebody whose key is gone: it was destroyed by
// hand, or the servers have lost that the person was forgotten, but for the key.
func (w *work) lost(ctx context.Context) (err error) {
	w.n.sayReturned(w.name)
	w.v = nobody(w.v)
	w.seq, err = w.n.write(ctx, w.n.valueSubject(w.p, personKey+w.name), w.v.encode(), w.seq, newID())
	return err
}

// prepare makes the folder what the value says, as it may have more after an attempt that failed
// half way. If it is that already, but for operations of this
// node that are the first to be done anyway, these are left as they are, and done is how many.
func (w *work) prepare(ctx context.Context, half bool) (done int, err error) {
	had, err := w.n.state.entry(w.name)
	if err != nil {
		return 0, err
	}
	own, err := w.n.state.waiting(w.name)
	if err != nil {
		return 0, err
	}
	same := !half && had.Seq == w.seq && len(own) <= len(w.ops)
	for i := 0; same && i < len(own); i++ {
		same = own[i].op.ID == w.ops[i].ID
	}
	if same {
		w.changed = len(own) > 0
		return len(own), nil
	}
	w.reset = true
	if w.seq == 0 {
		return 0, w.n.erase(ctx, w.name)
	}
	return 0, w.n.take(ctx, w.p, w.name, w.seq, w.v, false)
}

// learn does a Learn that somebody asked for.
func (w *work) learn(ctx context.Context, o queuedOp) error {
	rep, err := w.n.folder.Learn(ctx, o.Profile, o.Examples, o.Learn)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.n.counts.learned.Add(1)
	w.answer(o, answer{Report: rep}, err)
	return notOurs(err)
}

// forget writes that there is nobody any more, and destroys the key.
func (w *work) forget(ctx context.Context, o queuedOp) error {
	_, missing := w.n.folder.Profile(ctx, o.Profile)
	v := value{gone: true, epoch: max(w.v.epoch, o.Epoch) + 1, through: o.seq}
	seq, err := w.n.write(ctx, w.n.valueSubject(w.p, personKey+w.name), v.encode(), w.seq, newID())
	if err != nil {
		return err
	}
	if err := w.n.destroyKey(ctx, w.p, w.name); err != nil {
		return err
	}
	if err := w.n.take(ctx, w.p, w.name, seq, v, false); err != nil {
		return err
	}
	if !errors.Is(missing, sdk.ErrProfileNotFound) {
		missing = nil
	}
	w.seq, w.v, w.changed, w.reset = seq, v, false, true
	w.answer(o, answer{}, missing)
	w.reply()
	return nil
}

// commit writes what the folder has as the fleet's value, if anything has changed, and answers.
func (w *work) commit(ctx context.Context, through uint64) error {
	defer w.n.changed.raise()
	if !w.changed {
		w.reply()
		return nil
	}
	if had, err := w.n.state.entry(w.name); err != nil || had.Seq > w.seq {
		return errors.Join(err, errConflict)
	}
	subject := w.n.valueSubject(w.p, personKey+w.name)
	v, err := w.value(ctx, through, subject)
	if err != nil {
		return err
	}
	seq, err := w.n.write(ctx, subject, v.encode(), w.seq, newID())
	if err != nil {
		return err
	}
	w.seq, w.v, w.changed = seq, v, false
	e := entry{Seq: seq, Epoch: v.epoch, Through: v.through, Gone: v.gone}
	if !v.gone {
		e.ID = seal(w.n.secrets.local, []byte(w.id), w.name)
	}
	if err := w.n.state.set(w.name, e); err != nil {
		return err
	}
	err = w.n.state.drop(w.name, func(p pending) bool { return p.Sent != 0 && p.Sent <= v.through })
	w.reply()
	return err
}

// value is what the folder has of the profile, sealed; nobody, if that is nothing.
func (w *work) value(ctx context.Context, through uint64, subject string) (v value, err error) {
	v = value{epoch: w.v.epoch, through: max(through, w.v.through)}
	if _, err := w.n.folder.Profile(ctx, w.id); errors.Is(err, sdk.ErrProfileNotFound) {
		v.gone = true
		return v, nil
	}
	var bundle bytes.Buffer
	_, err = w.n.folder.Export(ctx, &bundle, &sdk.ExportOptions{IDs: []string{w.id}, Examples: true, State: true})
	if err != nil {
		return v, err
	}
	if w.key == nil {
		if w.key, err = w.n.makeKey(ctx, w.p, w.name); err != nil {
			return v, err
		}
		w.n.keys.put(w.name, w.key)
	}
	recent := w.recent[max(0, len(w.recent)-mostRecentOps):]
	v.sealed = person{w.id, recent, bundle.Bytes()}.seal(v, w.key, subject)
	return v, nil
}

// read answers what is stored after the operations so far.
func (w *work) read(ctx context.Context, o queuedOp) (err error) {
	var a answer
	for e, readErr := range w.n.folder.Examples(ctx, w.id) {
		if err = readErr; err != nil {
			break
		}
		a.Examples = append(a.Examples, e)
	}
	w.answer(o, a, err)
	return notOurs(err)
}
