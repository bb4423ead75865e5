//go:build cgo

package sdk

import (
	"context"
	"sync"

	"github.com/xpeft/xpeft/store"
)

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
