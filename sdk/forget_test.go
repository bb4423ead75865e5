package sdk

import (
	"context"
	"testing"
	"time"
)

// trainGate is a Tracer at which trainings wait: each says that it is there, and goes on when let.
type trainGate struct{ there, let, over chan struct{} }

func (g *trainGate) Start(ctx context.Context, operation string) (context.Context, func(error)) {
	if operation == "learn.train" {
		select {
		case g.there <- struct{}{}:
			<-g.let
		case <-g.over:
		}
	}
	return ctx, untraced
}

// gated is a folder whose trainings wait at a gate.
func gated(t *testing.T) (*Folder, *trainGate) {
	g := &trainGate{make(chan struct{}), make(chan struct{}), make(chan struct{})}
	c := withAxes(t)
	c.Options.Trace, c.Options.Learns, c.Options.NoBackground = g, 1, true
	p := create(t, c)
	t.Cleanup(func() { // of a test that failed
		close(g.over)
		select {
		case g.let <- struct{}{}:
		case <-time.After(10 * time.Millisecond):
		}
	})
	return p, g
}

// soon is what a channel gives within half a minute.
func soon[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: waited for half a minute", what)
	}
	return v
}

// later runs a call in a goroutine.
func later(call func() error) <-chan error {
	out := make(chan error, 1)
	go func() { out <- call() }()
	return out
}

// TestForgetEndsLearns: Forget does not wait until a profile has learned: that Learn, and those
// that wait for it, end with ErrConflict, and nothing of them is there.
func TestForgetEndsLearns(t *testing.T) {
	ctx := context.Background()
	p, g := gated(t)
	learn := func(id string) <-chan error {
		return later(func() error { _, err := p.Learn(ctx, id, examples(6, 0), nil); return err })
	}
	first, others := learn("ann"), []<-chan error(nil)
	soon(t, "the first", g.there)
	for range 20 {
		others = append(others, learn("ann"))
	}
	for p.waiters("ann") < 2*21 { // each has joined twice, to end and to lock
		time.Sleep(time.Millisecond)
	}
	forgot := later(func() error { return p.Forget(ctx, "ann") })
	for _, other := range others { // while the first is at the gate
		wantError(t, "one that waited", soon(t, "those that waited", other), ErrConflict)
	}
	g.let <- struct{}{}
	wantError(t, "the first", soon(t, "the first", first), ErrConflict)
	wantError(t, "Forget", soon(t, "Forget", forgot), ErrProfileNotFound)
	if n := p.waiters("ann"); n != 0 {
		t.Errorf("got %d users of the lock, want none", n)
	}

	// One that waits for the turn of another profile does not hold Forget up either.
	first = learn("ben")
	soon(t, "ben", g.there)
	waiting := learn("ann")
	for p.waiters("ann") < 2 {
		time.Sleep(time.Millisecond)
	}
	err := soon(t, "Forget", later(func() error { return p.Forget(ctx, "ann") }))
	wantError(t, "Forget of one that waits for its turn", err, ErrProfileNotFound)
	wantError(t, "that one", soon(t, "that one", waiting), ErrConflict)
	g.let <- struct{}{}
	if err := soon(t, "ben", first); err != nil {
		t.Errorf("ben: got %v", err)
	}
}

// waiters is how many have a profile's lock, wait for it or could be ended.
func (p *Folder) waiters(id string) int {
	p.ids.mu.Lock()
	defer p.ids.mu.Unlock()
	if l := p.ids.locks[id]; l != nil {
		return l.users
	}
	return 0
}

// TestForgetOneOfMany: of profiles that learn together the one that is forgotten ends alone, before
// the others, and what was learned before it is forgotten at once.
func TestForgetOneOfMany(t *testing.T) {
	ctx := context.Background()
	p, g := gated(t)
	var out []LearnResult
	many := later(func() (err error) {
		out, err = p.LearnMany(ctx, []LearnRequest{{"ann", examples(6, 0)}, {"ben", examples(6, 0)},
			{"cleo", examples(6, 0)}}, nil)
		return err
	})
	soon(t, "ann", g.there)
	g.let <- struct{}{}
	soon(t, "ben", g.there) // ann is learned
	if err := soon(t, "Forget", later(func() error { return p.Forget(ctx, "ann") })); err != nil {
		t.Errorf("who had learned: got %v", err)
	}
	before := p.waiters("ben")
	forgot := later(func() error { return p.Forget(ctx, "ben") })
	for p.waiters("ben") == before {
		time.Sleep(time.Millisecond)
	}
	g.let <- struct{}{}
	soon(t, "cleo", g.there)
	wantError(t, "Forget of who learned", soon(t, "Forget", forgot), ErrProfileNotFound)
	g.let <- struct{}{}
	if err := soon(t, "LearnMany", many); err != nil || out[0].Err != nil || out[2].Err != nil {
		t.Errorf("got %v, %+v", err, out)
	}
	wantError(t, "ben", out[1].Err, ErrConflict)
	for _, id := range []string{"ann", "ben"} {
		_, err := p.Profile(ctx, id)
		wantError(t, id, err, ErrProfileNotFound)
	}
	if _, err := p.Profile(ctx, "cleo"); err != nil {
		t.Errorf("cleo: got %v", err)
	}
}
