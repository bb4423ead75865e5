package sdk

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/xpeft/xpeft/store"
)

const (
	// leastObserved is the fewest new examples that are worth a training.
	leastObserved = 4
	// mostDue is how many profiles that are due learn together.
	mostDue = 32
)

// observer learns in the background what was observed. What waits is counted by the store alone;
// the observer has but the ids of those that are due.
type observer struct {
	every  int
	off    bool        // Options.NoBackground: nobody learns here
	early  func() bool // whether one example is worth learning from; nil: it is not
	mu     sync.Mutex
	queue  []string        // profiles that are due, each once
	queued map[string]bool // who is in queue
	busy   []string        // those that are learning
	quiet  chan struct{}   // closed when there is nothing to do; nil while there is none who waits
	wake   chan struct{}   // holds a token when the queue may have grown
	stop   context.CancelFunc
	ended  chan struct{} // closed when the background goroutine has ended; nil if it never began
	found  bool          // what was due at Open, or came with an import, has been looked for
	after  bool          // it is being looked for, or asked whether those who have learned are due again
	over   bool
}

// due says whether so much waits that a profile should learn.
func (o *observer) due(w store.Waiting) bool {
	least := leastObserved
	if w.Examples < least && w.Learned < least && o.early != nil && o.early() {
		least = 1
	}
	if w.Learned > 0 {
		least = max(least, min(o.every, w.Learned))
	}
	return w.Anew || w.Examples >= least
}

// note queues a profile if it is due.
func (o *observer) note(p *Folder, id string) error {
	if o.off {
		return nil
	}
	w, err := p.waiting(id)
	if errors.Is(err, ErrProfileNotFound) { // forgotten meanwhile
		return nil
	}
	if err == nil && o.due(w) {
		o.add(p, id)
	}
	return err
}

// waiting is what waits of a profile.
func (p *Folder) waiting(id string) (store.Waiting, error) {
	person, err := p.store.Person(id)
	if err != nil {
		return store.Waiting{}, err
	}
	rec, err := p.store.Get(id)
	if err != nil {
		return store.Waiting{}, err
	}
	return store.Waiting{ID: id, Examples: person.Waiting, Anew: person.Anew, Learned: int(rec.Examples)}, nil
}

// add queues profiles that are due, and begins the background goroutine, which first looks for
// those that were due at Open.
func (o *observer) add(p *Folder, ids ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return // it is stored; the next Open finds it
	}
	if o.queued == nil {
		o.queued = map[string]bool{}
	}
	for _, id := range ids {
		if !o.queued[id] && !slices.Contains(o.busy, id) {
			o.queue, o.queued[id] = append(o.queue, id), true
		}
	}
	o.begin(p)
}

// begin wakes the background goroutine, or makes it. The caller holds mu.
func (o *observer) begin(p *Folder) {
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
}

// idle is closed once nothing is due and nothing learns; nil: so it is.
func (o *observer) idle(p *Folder) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over || o.off || o.found && !o.after && len(o.queue) == 0 && len(o.busy) == 0 {
		return nil
	}
	if o.quiet == nil {
		o.quiet = make(chan struct{})
	}
	o.begin(p)
	return o.quiet
}

// work learns the profiles that are due together, those that became due first before others.
func (o *observer) work(ctx context.Context, p *Folder) {
	defer close(o.ended)
	for {
		o.find(ctx, p)
		ids := o.next()
		if len(ids) == 0 {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		results := p.relearn(ctx, ids)
		if ctx.Err() != nil {
			return
		}
		o.done(p, ids, results)
		for i, r := range results {
			if r.Err != nil {
				p.options.Logger.Warn("background learning failed", "error", r.Err)
			}
			if f := p.options.OnLearned; f != nil && (r.Report != nil || r.Err != nil) {
				f(ids[i], r.Report, r.Err)
			}
		}
	}
}

// find queues what was due when the folder was opened, or came with an import, once.
func (o *observer) find(ctx context.Context, p *Folder) {
	o.mu.Lock()
	found := o.found
	o.found = true // what comes from now on is looked for again
	o.after = o.after || !found
	o.mu.Unlock()
	if found {
		return
	}
	defer o.nobodyLearns(false)
	all, err := p.store.Waiting(ctx)
	if err != nil && ctx.Err() == nil {
		p.options.Logger.Warn("looking for what was observed before failed", "error", err)
	}
	var due []string
	for _, w := range all {
		if o.due(w) {
			due = append(due, w.ID)
		}
	}
	o.add(p, due...)
}

// next takes the profiles that have waited longest.
func (o *observer) next() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		if o.quiet != nil && o.found {
			close(o.quiet)
			o.quiet = nil
		}
		return nil
	}
	n := min(mostDue, len(o.queue))
	o.busy, o.queue = o.queue[:n:n], o.queue[n:]
	for _, id := range o.busy {
		delete(o.queued, id)
	}
	return o.busy
}

// done queues again those to whom so much came while they learned that they are due, and those
// whose revision was replaced meanwhile. One that failed otherwise has its turn when something new
// comes: it would fail again.
func (o *observer) done(p *Folder, ids []string, results []LearnResult) {
	o.nobodyLearns(true)
	defer o.nobodyLearns(false)
	for i, id := range ids {
		if err := results[i].Err; err != nil && !errors.Is(err, ErrConflict) {
			continue
		}
		if err := o.note(p, id); err != nil {
			p.options.Logger.Warn("background learning failed", "error", err)
		}
	}
}

func (o *observer) nobodyLearns(after bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy, o.after = nil, after
}

// start begins to look for what is due: at Open, and after an import. A folder that is new has
// nothing.
func (o *observer) start(p *Folder, fresh bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.found = fresh || o.off; !o.found && !o.over {
		o.begin(p)
	}
}

// forget drops a profile's turn.
func (o *observer) forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued[id] {
		delete(o.queued, id)
		o.queue = slices.DeleteFunc(o.queue, func(q string) bool { return q == id })
	}
}

// close ends the background learning: the training in progress within a step, with nothing of it
// kept.
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
	if o.quiet != nil {
		close(o.quiet)
		o.quiet = nil
	}
	o.mu.Unlock()
}
