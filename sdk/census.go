//go:build cgo

package sdk

import (
	"context"
	"slices"
	"sync"
	"time"
)

// censusRest is how long a census is good for, in times of what it took, though profiles have changed since: so it takes a fiftieth of one core at most.
const censusRest = 50

// census keeps the population. It is taken when it is first needed, never before, and again once profiles have changed and it has rested. Whoever finds it old
// takes it, the others go on with the old one: a census reads at most mostSampled records, so that no request pays for all profiles.
type census struct {
	mu      sync.Mutex
	now     *population // nil: not needed yet
	changes uint64      // the store's, when now was begun
	made    time.Time
	took    time.Duration
	busy    chan struct{} // closed when the census under way has ended; nil: none
	gone    []string      // forgotten while it is
}

// population is the latest census, or with exact one that knows of every change.
func (p *SDK) population(ctx context.Context, exact bool) (*population, error) {
	c := &p.census
	for {
		now, busy, mine := c.look(p.store.Changes(), exact)
		switch {
		case now != nil:
			return now, nil
		case mine:
			return c.take(ctx, p)
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// look returns the population if it is good enough, else what to wait for, or that the caller must call take.
func (c *census) look(changes uint64, exact bool) (now *population, busy chan struct{}, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rests := c.busy != nil || time.Since(c.made) < censusRest*c.took
	if c.now != nil && (c.changes == changes || !exact && rests) {
		return c.now, nil, false
	}
	if c.busy != nil {
		return nil, c.busy, false
	}
	c.busy, c.gone = make(chan struct{}), nil
	return nil, c.busy, true
}

// take takes a census. With an error the one before stays.
func (c *census) take(ctx context.Context, p *SDK) (pop *population, err error) {
	began, changes := time.Now(), p.store.Changes()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if pop != nil && err == nil {
			for _, id := range c.gone {
				pop.drop(id)
			}
			c.now, c.changes, c.made, c.took = pop, changes, time.Now(), time.Since(began)
		}
		close(c.busy)
		c.busy, c.gone = nil, nil
	}()
	return p.takeCensus(ctx)
}

// forget drops a profile, also from a census that is being taken.
func (c *census) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now != nil {
		c.now.drop(id)
	}
	if c.busy != nil && !slices.Contains(c.gone, id) {
		c.gone = append(c.gone, id)
	}
}
