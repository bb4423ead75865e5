package sdk

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// scheduler gathers the tickets of all calls and deals them to lanes, each of which runs one
// forward pass at a time. A lane that is free takes what waits: the more calls there are at once,
// the more of them share a pass, and a lone call waits for nobody.
//
// The ticket whose turn is first is in the next pass, so none waits for ever. Of one profile, and
// of one call, at most share tickets come before the next one's first. Tickets of the first one's
// adapter shape fill the pass up: by turn, where texts lie in a pass without padding; where they
// are padded, those whose length is nearest to its own.
type scheduler struct {
	answer func([]*ticket) error             // one forward pass: sets the answers
	packs  bool                              // passes have no padding: on the CPU
	budget int                               // tokens in a pass, padding included; a longer text has one for itself
	window time.Duration                     // how long a ticket may wait for others while a lane is free
	count  int                               // lanes
	queued func(context.Context) func(error) // begins to trace a call's wait; nil: nobody does

	mu     sync.Mutex
	wake   *sync.Cond // tickets came, a window passed, or the end
	queue  []*ticket  // by turn, then as they came
	tokens int        // in queue
	turns  map[string]uint64
	now    uint64 // the turn of what was served last
	ended  bool
	lanes  sync.WaitGroup
	passes PassStats

	running int       // passes now
	most    int       // passes at once, lately
	busy    time.Time // when there were so many
}

// lately is how long after a pass its lane counts as wanted.
const lately = time.Second

// wanted is how many lanes run passes, or ran them lately: as many as a training should leave a
// thread each.
func (s *scheduler) wanted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= s.most || time.Since(s.busy) > lately {
		s.most = s.running
	}
	return s.most
}

// PassStats of the forward passes that answer Predict.
type PassStats struct {
	Passes int64 `json:"passes"`
	Texts  int64 `json:"texts"`
	Tokens int64 `json:"tokens"` // of the texts themselves
	Padded int64 `json:"padded"` // tokens computed for nothing, because texts of one pass have different lengths
}

const (
	share      = 8    // tickets of one profile, or of one call, in a round of turns
	look       = 256  // tickets that may fill up a pass
	maxTickets = 64   // of one pass: each may bring an adapter
	minTokens  = 96   // a pass of fewer wastes more on its operators than another lane would save
	fewTokens  = 1024 // with no more waiting, padding costs less than another pass
)

// ticket is a request in the queue, and then its answer.
type ticket struct {
	request *request
	answer  Prediction
	call    *call
	at      int // in the call's answers
	turn    uint64
	taken   bool // by a pass
	arrived time.Time
}

// call is one Predict or a part of a PredictBatch, waiting for its tickets.
type call struct {
	out     []Prediction
	turn    uint64 // of its last ticket
	pending int
	err     error // of a pass
	done    chan struct{}

	ctx    context.Context
	queued func(error) // its texts wait no more; may be called again
}

func newScheduler(lanes, budget int, window time.Duration, packs bool, answer func([]*ticket) error) *scheduler {
	s := &scheduler{answer: answer, packs: packs, budget: budget, window: window, count: lanes,
		turns: map[string]uint64{}}
	s.wake = sync.NewCond(&s.mu)
	s.lanes.Add(lanes)
	for range lanes {
		go s.lane()
	}
	return s
}

// run answers tickets, all of one call. The error is ctx's, or of a pass that one of them was in; a
// pass under way is not waited for when ctx is done.
func (s *scheduler) run(ctx context.Context, c *call, tickets []*ticket) error {
	if len(tickets) == 0 {
		return nil
	}
	c.pending, c.done, c.ctx, c.queued = len(tickets), make(chan struct{}), ctx, untraced
	if s.queued != nil {
		c.queued = s.queued(ctx)
	}
	s.mu.Lock()
	c.turn = s.now
	for _, t := range tickets {
		s.enqueue(c, t)
	}
	s.mu.Unlock()
	s.wake.Broadcast()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		s.withdraw(c)
		c.queued(ctx.Err())
		return ctx.Err()
	}
}

func (s *scheduler) enqueue(c *call, t *ticket) {
	t.call, t.arrived = c, time.Now()
	t.turn = max(s.now, c.turn)
	if id := t.request.profile; id != "" { // the base is nobody's
		if last, ok := s.turns[id]; ok {
			t.turn = max(t.turn, last+1)
		}
		s.turns[id] = t.turn
	}
	c.turn = t.turn + 1
	at, _ := slices.BinarySearchFunc(s.queue, t, func(a, b *ticket) int {
		return cmp.Or(cmp.Compare(a.turn/share, b.turn/share), -1) // behind its equals
	})
	s.queue = slices.Insert(s.queue, at, t)
	s.tokens += t.request.tokens()
}

// withdraw takes the tickets of a call that nobody waits for any more.
func (s *scheduler) withdraw(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(func(t *ticket) bool { return t.call == c })
}

// remove takes tickets out of the queue.
func (s *scheduler) remove(gone func(*ticket) bool) {
	s.queue = slices.DeleteFunc(s.queue, func(t *ticket) bool {
		if !gone(t) {
			return false
		}
		s.tokens -= t.request.tokens()
		if s.turns[t.request.profile] == t.turn { // its last
			delete(s.turns, t.request.profile)
		}
		return true
	})
}

// close waits for the passes under way. No call may wait.
func (s *scheduler) close() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.wake.Broadcast()
	s.lanes.Wait()
}

func (s *scheduler) lane() {
	defer s.lanes.Done()
	for {
		tickets := s.take()
		if tickets == nil {
			return
		}
		for _, t := range tickets {
			t.call.queued(nil)
		}
		s.finish(tickets, s.answer(tickets))
	}
}

// finish gives a pass's tickets to their calls.
func (s *scheduler) finish(tickets []*ticket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running >= s.most {
		s.most, s.busy = s.running, time.Now()
	}
	s.running--
	for _, t := range tickets {
		if err != nil {
			t.call.err = err
		} else {
			t.call.out[t.at] = t.answer
		}
		if t.call.pending--; t.call.pending == 0 {
			close(t.call.done)
		}
	}
}

// take waits for tickets and returns those of the next pass, nil at the end.
func (s *scheduler) take() []*ticket {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.await() {
		return nil
	}
	tickets, padded := s.fill()
	s.running++
	for _, t := range tickets {
		t.taken = true
	}
	s.remove(func(t *ticket) bool { return t.taken })
	s.now = max(s.now, tickets[0].turn/share*share)
	s.passes.Passes++
	s.passes.Texts += int64(len(tickets))
	for _, t := range tickets {
		s.passes.Tokens += int64(t.request.tokens())
		padded -= t.request.tokens()
	}
	s.passes.Padded += int64(padded)
	return tickets
}

// await returns when there are tickets for a pass, false at the end.
func (s *scheduler) await() bool {
	for !s.ended {
		if len(s.queue) == 0 {
			s.wake.Wait()
			continue
		}
		left := s.window - time.Since(s.queue[0].arrived)
		if left <= 0 || s.tokens >= s.budget {
			return true
		}
		timer := time.AfterFunc(left, s.passed)
		s.wake.Wait()
		timer.Stop()
	}
	return len(s.queue) > 0
}

// passed wakes who waits for a window to pass. The lock is free only once they do wait: with a
// window that passed before that, they would wait for the next call.
func (s *scheduler) passed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake.Broadcast()
}

// fill chooses the tickets of a pass, and says how many tokens it computes, padding included.
func (s *scheduler) fill() (tickets []*ticket, computed int) {
	first := s.queue[0]
	others, pads, waste := s.queue[1:min(len(s.queue), look)], !s.packs, 0.04
	if pads {
		others = slices.Clone(others)
		slices.SortStableFunc(others, func(a, b *ticket) int { return cmp.Compare(apart(a, first), apart(b, first)) })
		if s.tokens <= fewTokens {
			waste = 0.25
		}
	}
	// smaller ones towards the end, so that all lanes end together
	limit := min(s.budget, max(minTokens, s.tokens/s.count))
	tickets = []*ticket{first}
	longest, tokens := first.request.tokens(), first.request.tokens()
	computed = tokens
	for _, t := range others {
		widest, all := max(longest, t.request.tokens()), tokens+t.request.tokens()
		then := all
		if pads {
			then = widest * (len(tickets) + 1)
		}
		if len(tickets) == maxTickets || then > limit || float64(then-all) > waste*float64(then) {
			break
		}
		tickets, longest, tokens, computed = append(tickets, t), widest, all, then
	}
	return tickets, computed
}

// apart is by how many tokens two texts differ.
func apart(a, b *ticket) int {
	return max(a.request.tokens()-b.request.tokens(), b.request.tokens()-a.request.tokens())
}

func (s *scheduler) stats() PassStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passes
}
