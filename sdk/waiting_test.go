package sdk

import (
	"context"
	"testing"
)

// TestWaiting counts what no training has seen, over all profiles, and profiles of which something
// was erased.
func TestWaiting(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	want := func(when string, examples, profiles int) {
		t.Helper()
		if e, n, err := p.Waiting(ctx); err != nil || e != examples || n != profiles {
			t.Errorf("%s: got %d examples of %d profiles (%v), want %d of %d", when, e, n, err, examples, profiles)
		}
	}
	want("in a new folder", 0, 0)
	mustLearn(t, p, "ann", examples(12, 0), forced())
	want("after a Learn", 0, 0)
	mustObserve(t, p, "ann", Example{Text: "a new one", Label: "urgent"})
	mustObserve(t, p, "bob", Example{Text: "a new one", Label: "urgent"}, Example{Text: "another", Label: "later"})
	want("after three observed", 3, 2)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := p.Waiting(ctx)
	wantError(t, "after Close", err, ErrClosed)
}
