package fleet

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/xpeft/xpeft/sdk"
)

// behindProxies is a config of a node that can be cut off.
func (c *cluster) behindProxies(name string) (Config, proxies) {
	config := c.config(name)
	var all proxies
	for _, o := range c.options {
		all = append(all, newProxy(c.t, fmt.Sprintf("127.0.0.1:%d", o.Port)))
	}
	config.Servers = all.urls()
	config.NATS = append(config.NATS, nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Second))
	return config, all
}

// TestCutOff: a node that is cut off serves what it accepts, answers for profiles until MaxStale
// and then by the base alone, and sends what it queued when it is back. What it observed of
// somebody who was forgotten meanwhile is dropped, and the person stays forgotten.
func TestCutOff(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	c.learner("learner")
	a := c.open(c.config("a"))
	config, link := c.behindProxies("b")
	config.MaxStale, config.PublishWait = 10*time.Second, 100*time.Millisecond
	b := c.open(config)
	for _, id := range []string{"alice", "carol"} {
		if err := a.Observe(t.Context(), id, messages[0]); err != nil {
			t.Fatal(err)
		}
		within(t, patience, "answer on b", func() bool { l, _ := answers(t, b, id, messages[0].Text); return l != "" })
	}

	link.set(true)
	for _, id := range []string{"alice", "carol"} {
		if err := b.Observe(t.Context(), id, messages[8]); err != nil {
			t.Fatal(err)
		}
		if l, s := answers(t, b, id, messages[8].Text); l != "ignore" || s != sdk.SourceTaught {
			t.Errorf("own writes while cut off: got %q by %q, want ignore, taught", l, s)
		}
	}
	var later *LaterError
	if err := a.Forget(t.Context(), "alice"); !errors.As(err, &later) || len(later.Nodes) != 1 || later.Nodes[0] != "b" {
		t.Errorf("Forget with b cut off: got %v, want a LaterError that names b", err)
	}
	within(t, patience, "ErrStale", func() bool {
		_, err := b.Predict(t.Context(), "alice", "x", nil)
		return errors.Is(err, ErrStale)
	})
	if later != nil && time.Now().After(later.By.Add(time.Second)) {
		t.Errorf("b answered until %v, want by %v", time.Now(), later.By)
	}
	if p, err := b.Predict(t.Context(), "alice", "x", &sdk.PredictOptions{Fallback: sdk.FallbackBase}); err != nil || p.Source != sdk.SourceBase {
		t.Errorf("the base while cut off: got %v, %v", p, err)
	}
	within(t, patience, "ErrStale of carol, of another partition", func() bool {
		_, err := b.Predict(t.Context(), "carol", "x", nil)
		return errors.Is(err, ErrStale)
	})
	rows, err := b.PredictBatch(t.Context(), []sdk.Request{{Profile: "carol", Text: "x"}, {Text: "x", Base: true}})
	if err != nil || !errors.Is(rows[0].Err, ErrStale) || rows[1].Err != nil {
		t.Errorf("a batch while cut off: got %v, %v", rows, err)
	}

	link.set(false)
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	if err := b.Drain(ctx); err != nil {
		t.Fatalf("what was observed while cut off, and of alice before she was forgotten: %v", err)
	}
	within(t, patience, "carol's example on a", func() bool {
		l, _ := answers(t, a, "carol", messages[8].Text)
		return l == "ignore"
	})
	for _, n := range []*Node{a, b} {
		within(t, patience, "ErrProfileNotFound", func() bool {
			_, err := n.Predict(t.Context(), "alice", "x", nil)
			return errors.Is(err, sdk.ErrProfileNotFound)
		})
		if got, err := n.Latest(t.Context(), "alice"); !errors.Is(err, sdk.ErrProfileNotFound) {
			t.Errorf("alice was forgotten: got %v, %v", got, err)
		}
	}
	if err := b.Observe(t.Context(), "alice", messages[4]); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "new alice on a", func() bool { l, _ := answers(t, a, "alice", messages[4].Text); return l == "later" })
	if got, err := a.Latest(t.Context(), "alice"); err != nil || len(got) != 1 {
		t.Errorf("who comes again is new: got %v, %v", got, err)
	}
}
