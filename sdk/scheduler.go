//go:build cgo

package sdk

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// scheduler gathers the rows of all calls and deals them to lanes, each of which runs one forward pass at a time. A lane that is free takes what waits: the
// more calls there are at once, the more of them share a pass, and a lone call waits for nobody.
//
// The row whose turn is first is in the next pass, so none waits for ever. Of one profile, and of one call, at most share rows come before the next one's first. Rows of
// the first one's adapter shape fill the pass up: by turn, where texts lie in a pass without padding; where they are padded, those whose length is nearest to its own.
type scheduler struct {
	answer func([]*row) error // one forward pass: sets the rows' answers
	packs  func() bool        // passes have no padding
	budget int                // tokens in a pass, padding included; a longer text has one for itself
	window time.Duration      // how long a row may wait for others while a lane is free
	count  int                // lanes

	mu     sync.Mutex
	wake   *sync.Cond // rows came, a window passed, or the end
	queue  []*row     // by turn, then as they came
	tokens int        // in queue
	turns  map[string]uint64
	now    uint64 // the turn of what was served last
	ended  bool
	lanes  sync.WaitGroup
	passes PassStats
}

// PassStats of the forward passes that answer Predict.
type PassStats struct {
	Passes int64 `json:"passes"`
	Texts  int64 `json:"texts"`
	Tokens int64 `json:"tokens"` // of the texts themselves
	Padded int64 `json:"padded"` // tokens computed for nothing, because texts of one pass have different lengths
}

const (
	share     = 8    // rows of one profile, or of one call, in a round of turns
	look      = 256  // rows that may fill up a pass
	maxRows   = 64   // of one pass: each may bring an adapter
	minTokens = 96   // a pass of fewer wastes more on its operators than another lane would save
	fewTokens = 1024 // with no more waiting, padding costs less than another pass
)

// call is one Predict or a part of a PredictBatch, waiting for its rows.
type call struct {
	out     []Prediction
	turn    uint64 // of its last row
	pending int
	err     error // of a pass
	done    chan struct{}
}

func newScheduler(lanes, budget int, window time.Duration, packs func() bool, answer func([]*row) error) *scheduler {
	s := &scheduler{answer: answer, packs: packs, budget: budget, window: window, count: lanes, turns: map[string]uint64{}}
	s.wake = sync.NewCond(&s.mu)
	s.lanes.Add(lanes)
	for range lanes {
		go s.lane()
	}
	return s
}

// run answers rows, all of one call. The error is ctx's, or of a pass that one of them was in; a pass under way is not waited for when ctx is done.
func (s *scheduler) run(ctx context.Context, c *call, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	c.pending, c.done = len(rows), make(chan struct{})
	s.mu.Lock()
	c.turn = s.now
	for _, r := range rows {
		s.enqueue(c, r)
	}
	s.mu.Unlock()
	s.wake.Broadcast()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		s.withdraw(c)
		return ctx.Err()
	}
}

func (s *scheduler) enqueue(c *call, r *row) {
	r.call, r.arrived = c, time.Now()
	r.turn = max(s.now, c.turn)
	if id := r.profile(); id != "" { // the base is nobody's
		if last, ok := s.turns[id]; ok {
			r.turn = max(r.turn, last+1)
		}
		s.turns[id] = r.turn
	}
	c.turn = r.turn + 1
	at, _ := slices.BinarySearchFunc(s.queue, r, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.turn/share, b.turn/share), -1) // behind its equals
	})
	s.queue = slices.Insert(s.queue, at, r)
	s.tokens += r.tokens()
}

// withdraw takes the rows of a call that nobody waits for any more.
func (s *scheduler) withdraw(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(func(r *row) bool { return r.call == c })
}

// remove takes rows out of the queue.
func (s *scheduler) remove(gone func(*row) bool) {
	s.queue = slices.DeleteFunc(s.queue, func(r *row) bool {
		if !gone(r) {
			return false
		}
		s.tokens -= r.tokens()
		if s.turns[r.profile()] == r.turn { // its last
			delete(s.turns, r.profile())
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
		rows := s.take()
		if rows == nil {
			return
		}
		s.finish(rows, s.answer(rows))
	}
}

// finish gives a pass's rows to their calls.
func (s *scheduler) finish(rows []*row, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rows {
		if err != nil {
			r.call.err = err
		} else {
			r.call.out[r.at] = r.answered
		}
		if r.call.pending--; r.call.pending == 0 {
			close(r.call.done)
		}
	}
}

// take waits for rows and returns those of the next pass, nil at the end.
func (s *scheduler) take() []*row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.await() {
		return nil
	}
	rows, padded := s.fill()
	for _, r := range rows {
		r.taken = true
	}
	s.remove(func(r *row) bool { return r.taken })
	s.now = max(s.now, rows[0].turn/share*share)
	s.passes.Passes++
	s.passes.Texts += int64(len(rows))
	for _, r := range rows {
		s.passes.Tokens += int64(r.tokens())
		padded -= r.tokens()
	}
	s.passes.Padded += int64(padded)
	return rows
}

// await returns when there are rows for a pass, false at the end.
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
		timer := time.AfterFunc(left, s.wake.Broadcast)
		s.wake.Wait()
		timer.Stop()
	}
	return len(s.queue) > 0
}

// fill chooses the rows of a pass, and says how many tokens it computes, padding included.
func (s *scheduler) fill() (rows []*row, computed int) {
	first := s.queue[0]
	others, pads, waste := s.queue[1:min(len(s.queue), look)], !s.packs(), 0.04
	if pads {
		others = slices.Clone(others)
		slices.SortStableFunc(others, func(a, b *row) int { return cmp.Compare(apart(a, first), apart(b, first)) })
		if s.tokens <= fewTokens {
			waste = 0.25
		}
	}
	limit := min(s.budget, max(minTokens, s.tokens/s.count)) // smaller ones towards the end, so that all lanes end together
	rows, of := []*row{first}, first.shape()
	longest, tokens := first.tokens(), first.tokens()
	computed = tokens
	for _, r := range others {
		shape := r.shape()
		if shape != of && shape != nobodys && of != nobodys {
			continue
		}
		t, all := max(longest, r.tokens()), tokens+r.tokens()
		then := all
		if pads {
			then = t * (len(rows) + 1)
		}
		if len(rows) == maxRows || then > limit || float64(then-all) > waste*float64(then) {
			break
		}
		if of == nobodys {
			of = shape
		}
		rows, longest, tokens, computed = append(rows, r), t, all, then
	}
	return rows, computed
}

// apart is by how many tokens two texts differ.
func apart(a, b *row) int { return max(a.tokens()-b.tokens(), b.tokens()-a.tokens()) }

func (s *scheduler) stats() PassStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passes
}
