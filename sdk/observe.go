//go:build cgo

package sdk

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// Observe stores an example of a profile before it returns, and teaches the profile in the background once enough are new: Options.ObserveEvery, or as many as
// it has learned from if that is fewer, at least 4. The last 512 of a profile are kept and replayed. A profile that is new is served at once from an untrained mask
// with the label prior of what was observed. Background learning takes profiles in turn, one at a time, through the same gate as Learn; Options.OnLearned
// hears of each. Cost: one transaction. Errors are those of Learn for a bad example or an unknown label. After Close nothing is lost: what is stored
// counts again at the next Observe of that profile.
func (p *SDK) Observe(ctx context.Context, id string, e Example) error {
	leave, err := p.enterToWrite()
	if err != nil {
		return err
	}
	defer leave()
	err = checkID(id)
	if err == nil {
		err = checkExamples([]Example{e})
	}
	if err != nil {
		return err
	}
	for range 3 { // a Forget or another first Observe may come between
		err = p.observe(ctx, id, e)
		if !errors.Is(err, ErrProfileNotFound) && !errors.Is(err, ErrConflict) {
			break
		}
	}
	return err
}

func (p *SDK) observe(ctx context.Context, id string, e Example) error {
	snap, err := p.snapshot(id)
	if errors.Is(err, ErrProfileNotFound) {
		return p.observeFirst(ctx, id, e)
	}
	if err != nil {
		return err
	}
	if err := e.fits(snap.head); err != nil {
		return err
	}
	if err := p.store.AppendExamples(ctx, id, storedExamples([]Example{e})); err != nil {
		return err
	}
	return p.observer.note(p, snap.record)
}

// observeFirst makes a profile that has learned nothing yet: a fresh mask, and a prior of the one label.
func (p *SDK) observeFirst(ctx context.Context, id string, e Example) error {
	rec, err := p.untrained(ctx, id)
	if err != nil {
		return err
	}
	snap, err := p.open(rec)
	if err != nil {
		return err
	}
	if err := e.fits(snap.head); err != nil {
		return err
	}
	c, _ := snap.head.Label(e.Label)
	rec.Prior = make([]uint32, len(snap.head.Labels))
	rec.Prior[c] = 1
	_, err = p.store.Put(ctx, rec, store.Write{IfRevision: new(uint64), Append: storedExamples([]Example{e})})
	if err != nil {
		return err
	}
	return p.observer.note(p, rec)
}

// untrained is the record of a profile that has learned nothing: the mask where training would start. LN_b is off in it, so that it is served as the base is.
func (p *SDK) untrained(ctx context.Context, id string) (*store.Profile, error) {
	ref, err := p.defaultBank()
	if err != nil {
		return nil, err
	}
	b, err := p.bank(ref)
	if err != nil {
		return nil, err
	}
	_, head, err := p.shared()
	if err != nil {
		return nil, err
	}
	props, c := b.Properties(), learner.Default()
	c.K = min(p.k, props.N)
	start := p.population(ctx, ref, props, c)
	if start == nil {
		start = learner.NewLogits(props.N, props.Blocks)
	}
	rec := &store.Profile{ID: id, Bank: ref, Head: head}
	if rec.Mask, err = start.Mask(c.K); err != nil {
		return nil, err
	}
	if props.NormB {
		rec.Affine, err = props.EncodeAffine(make([]float32, props.AffineElems()), b.Affine())
	}
	return rec, err
}

// leastObserved is the fewest new examples that are worth a training.
const leastObserved = 4

// observer counts what is new and learns it in the background.
type observer struct {
	every int
	mu    sync.Mutex
	fresh map[string]int // examples since the last learning, of profiles that were observed since Open
	queue []string       // profiles that are due, each once
	busy  string         // the one that is learning
	idle  chan struct{}  // closed when there is nothing to do; nil while there is none who waits
	wake  chan struct{}  // holds a token when the queue may have grown
	stop  context.CancelFunc
	ended chan struct{} // closed when the background goroutine has ended; nil if it never began
	over  bool
}

// note counts an example of a profile, and queues the profile if enough are new.
func (o *observer) note(p *SDK, rec *store.Profile) error {
	o.mu.Lock()
	n, known := o.fresh[rec.ID]
	o.mu.Unlock()
	if !known { // the first since Open: the file knows
		examples, err := p.store.Examples(rec.ID)
		if err != nil {
			return err
		}
		for _, e := range examples {
			if rec.Examples == 0 || e.Time.After(rec.Updated) {
				n++
			}
		}
		n--
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return nil // it is stored; the next Open will count it
	}
	if o.fresh == nil {
		o.fresh = map[string]int{}
	}
	o.fresh[rec.ID] = max(n, 0) + 1
	due := max(leastObserved, min(o.every, int(rec.Examples)))
	if rec.Examples == 0 {
		due = leastObserved
	}
	if o.fresh[rec.ID] < due || o.busy == rec.ID || o.queued(rec.ID) {
		return nil
	}
	o.queue = append(o.queue, rec.ID)
	if o.ended == nil {
		ctx, stop := context.WithCancel(context.Background())
		o.stop, o.ended = stop, make(chan struct{})
		o.wake = make(chan struct{}, 1)
		go o.work(ctx, p)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

func (o *observer) queued(id string) bool {
	for _, q := range o.queue {
		if q == id {
			return true
		}
	}
	return false
}

// work learns one profile after another, in the order in which they became due.
func (o *observer) work(ctx context.Context, p *SDK) {
	defer close(o.ended)
	for {
		id, n, ok := o.next()
		if !ok {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		rep, err := p.relearn(ctx, id)
		o.done(id, n)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.options.Logger.Warn("background learning failed", "error", err)
		}
		if f := p.options.OnLearned; f != nil {
			f(id, rep, err)
		}
	}
}

// next takes the profile that has waited longest; n is how many of its examples are new.
func (o *observer) next() (id string, n int, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.busy = ""
		if o.idle != nil {
			close(o.idle)
			o.idle = nil
		}
		return "", 0, false
	}
	id, o.queue = o.queue[0], o.queue[1:]
	o.busy = id
	return id, o.fresh[id], true
}

// done takes what was learned off the count; what came meanwhile stays.
func (o *observer) done(id string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = ""
	o.fresh[id] -= n
}

// forget drops a profile's count.
func (o *observer) forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.fresh, id)
}

// close ends the background learning: the training in progress within a step, with nothing of it kept.
func (o *observer) close() {
	o.mu.Lock()
	o.over = true
	stop, ended := o.stop, o.ended
	o.mu.Unlock()
	if ended != nil {
		stop()
		<-ended
	}
	o.mu.Lock()
	if o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
	o.mu.Unlock()
}

// Drain waits until no profile is due and none learns in the background, or until ctx is done.
func (p *SDK) Drain(ctx context.Context) error {
	leave, err := p.lifetime.enter()
	if err != nil {
		return err
	}
	defer leave()
	o := &p.observer
	o.mu.Lock()
	if o.over || len(o.queue) == 0 && o.busy == "" {
		o.mu.Unlock()
		return ctx.Err()
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	idle := o.idle
	o.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// relearn teaches a profile what it has stored.
func (p *SDK) relearn(ctx context.Context, id string) (*Report, error) {
	opts, err := (*LearnOptions)(nil).withDefaults()
	if err != nil {
		return nil, err
	}
	rep, err := p.learn(ctx, id, nil, opts)
	if err != nil {
		return nil, fmt.Errorf("learning what was observed: %w", err)
	}
	return rep, nil
}
