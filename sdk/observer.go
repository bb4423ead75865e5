//go:build cgo

package sdk

import (
	"context"
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

// observer counts what is new and learns it in the background.
type observer struct {
	every int
	mu    sync.Mutex
	fresh map[string]int // examples since the last learning, of profiles that were observed since Open
	queue []string       // profiles that are due, each once
	busy  []string       // those that are learning
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
	if o.fresh[rec.ID] < due || slices.Contains(o.busy, rec.ID) || slices.Contains(o.queue, rec.ID) {
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

// work learns the profiles that are due together, those that became due first before others.
func (o *observer) work(ctx context.Context, p *SDK) {
	defer close(o.ended)
	for {
		ids, fresh := o.next()
		if len(ids) == 0 {
			select {
			case <-o.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		results := p.relearn(ctx, ids)
		o.done(ids, fresh)
		if ctx.Err() != nil {
			return
		}
		for i, r := range results {
			if r.Err != nil {
				p.options.Logger.Warn("background learning failed", "error", r.Err)
			}
			if f := p.options.OnLearned; f != nil {
				f(ids[i], r.Report, r.Err)
			}
		}
	}
}

// next takes the profiles that have waited longest; fresh is how many of each one's examples are new.
func (o *observer) next() (ids []string, fresh []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		if o.idle != nil {
			close(o.idle)
			o.idle = nil
		}
		return nil, nil
	}
	n := min(mostDue, len(o.queue))
	o.busy, o.queue = o.queue[:n:n], o.queue[n:]
	for _, id := range o.busy {
		fresh = append(fresh, o.fresh[id])
	}
	return o.busy, fresh
}

// done takes what was learned off the counts; what came meanwhile stays. A profile that was forgotten meanwhile has no count, and gets none.
func (o *observer) done(ids []string, fresh []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.busy = nil
	for i, id := range ids {
		if _, ok := o.fresh[id]; ok {
			o.fresh[id] -= fresh[i]
		}
	}
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
