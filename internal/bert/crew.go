package bert

import (
	"slices"
	"sync"
)

// team is those who compute one pass together, and its helpers' part in it.
type team interface {
	threads() int      // at most, with the pass's own
	help()             // may begin before the pass does, or after it has ended
	limit(threads int) // helpers beyond leave
}

// fewTokens is for how many tokens a pass has one more helper.
const fewTokens = 4

// Crew lends the threads that no pass uses to those that run. It is for passes of several Models,
// and safe for concurrent use.
type Crew struct {
	threads int

	mu      sync.Mutex
	passes  int // that run, and others that need a thread
	helpers int // that run, or will
	teams   []team
}

// NewCrew is for passes that run on so many threads together. Passes beyond that number run too,
// without helpers.
func NewCrew(threads int) *Crew { return &Crew{threads: threads} }

// Busy says that all threads have other work, until done is called: no pass has helpers.
func (c *Crew) Busy() (done func()) {
	c.enter(c.threads, 1, nil)
	return func() { c.leave(c.threads, nil) }
}

// enter counts passes and gives one, of at most most threads, its team; nil if it has no helpers.
// Helpers of others leave it their threads.
func (c *Crew) enter(passes, most int, newTeam func(threads int) team) team {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes += passes
	free := c.threads - c.passes - c.helpers
	for _, t := range c.teams {
		t.limit(c.threads / c.passes)
	}
	helpers := min(free, most-1)
	if helpers < 1 {
		return nil
	}
	t := newTeam(1 + helpers)
	c.teams = append(c.teams, t)
	c.helpers += helpers
	for range helpers {
		go func() {
			t.help()
			c.mu.Lock()
			c.helpers--
			c.mu.Unlock()
		}()
	}
	return t
}

func (c *Crew) leave(passes int, t team) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passes -= passes
	c.teams = slices.DeleteFunc(c.teams, func(other team) bool { return other == t })
}
