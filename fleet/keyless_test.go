package fleet

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/xpeft/xpeft/sdk"
)

// TestKeyless: somebody whose key was destroyed on the servers is nobody, on all nodes. Where the
// bucket keeps a marker all nodes know soon; where it has none, with the first call of the person
// that goes to a learner. No call waits for ever.
func TestKeyless(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*patience)
	defer stop()
	learner, a := c.learner("learner"), c.open(c.config("a"))
	calls := map[string]func(ctx context.Context, id string) error{
		"marker":  nil,
		"latest":  func(ctx context.Context, id string) error { _, err := a.Latest(ctx, id); return err },
		"learn":   func(ctx context.Context, id string) error { _, err := a.Learn(ctx, id, messages, nil); return err },
		"observe": func(ctx context.Context, id string) error { return a.Observe(ctx, id, messages[0]) },
		"forget":  func(ctx context.Context, id string) error { return a.Forget(ctx, id) },
		"erase": func(ctx context.Context, id string) error {
			return a.ForgetExample(ctx, id, messages[0].Text, nil)
		},
		"refresh": func(ctx context.Context, id string) error { // a node takes the value in anew
			a.keys.clear()
			if err := a.refresh(ctx, a.secrets.nameOf(id)); err != nil {
				return err
			}
			if _, err := a.Predict(ctx, id, messages[0].Text, nil); !errors.Is(err, sdk.ErrProfileNotFound) {
				t.Errorf("taken in anew: got %v, want ErrProfileNotFound", err)
			}
			if _, err := a.Latest(ctx, id); !errors.Is(err, sdk.ErrProfileNotFound) {
				return err
			}
			return nil
		},
		"private": func(ctx context.Context, id string) error { return a.SetPrivate(ctx, id, true) },
	}
	for id := range calls {
		if _, err := a.Learn(ctx, id, messages, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Observe(ctx, "bob", messages[0]); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	for id := range calls {
		destroy(t, a, id, id == "marker")
	}
	late := c.open(c.config("late")) // knows nobody yet
	if got := everybody(t, late); got != 1 {
		t.Errorf("a new node has %d people, want bob", got)
	}
	for id, call := range calls {
		if call == nil {
			continue
		}
		short, stop := context.WithTimeout(ctx, patience)
		if err := call(short, id); err != nil && !errors.Is(err, sdk.ErrConflict) {
			t.Errorf("the first %s: got %v, want none or ErrConflict", id, err)
		}
		stop()
	}
	if err := a.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]*Node{"learner": learner, "a": a, "late": late} {
		within(t, patience, "one person on "+name, func() bool { return everybody(t, n) == 1 })
		var backup bytes.Buffer
		rep, err := n.Backup(ctx, &backup)
		if err != nil || rep.Profiles != 1 {
			t.Errorf("backup of %s: got %+v, %v, want one profile", name, rep, err)
		}
		for id := range calls {
			if _, err := n.Predict(ctx, id, messages[0].Text, nil); !errors.Is(err, sdk.ErrProfileNotFound) {
				t.Errorf("%s on %s: got %v, want ErrProfileNotFound", id, name, err)
			}
			if _, err := n.PersonData(ctx, id); !errors.Is(err, sdk.ErrProfileNotFound) {
				t.Errorf("data of %s on %s: got %v, want ErrProfileNotFound", id, name, err)
			}
		}
	}
	for id := range calls { // they may come again
		if _, err := late.Latest(ctx, id); !errors.Is(err, sdk.ErrProfileNotFound) {
			t.Errorf("%s again: got %v, want ErrProfileNotFound", id, err)
		}
		if err := late.Observe(ctx, id, messages[8]); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Latest(ctx, id); err != nil || len(got) != 1 {
			t.Errorf("%s came again: got %v, %v, want one example", id, got, err)
		}
	}
}

// destroy destroys a person's key, with NATS's means: its tools leave a marker in a bucket.
func destroy(t *testing.T, n *Node, id string, marker bool) {
	t.Helper()
	name := n.secrets.nameOf(id)
	p := partitionOf(name, n.plan.Partitions)
	var err error
	if marker {
		var keys jetstream.KeyValue
		if keys, err = n.js.KeyValue(t.Context(), n.bucket("keys", p)); err == nil {
			err = keys.Purge(t.Context(), name)
		}
	} else {
		var st jetstream.Stream
		if st, err = n.js.Stream(t.Context(), n.keysStream(p)); err == nil {
			err = st.Purge(t.Context(), jetstream.WithPurgeSubject(n.keySubject(p, name)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// everybody is how many people a node serves.
func everybody(t *testing.T, n *Node) (people int) {
	for _, err := range n.Profiles(t.Context(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		people++
	}
	return people
}
