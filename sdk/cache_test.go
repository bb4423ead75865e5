package sdk

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// foldOne folds a profile's adapter outside of the cache.
func foldOne(t testing.TB, p *Folder, id string) *model.Adapter {
	t.Helper()
	snap, err := p.snapshot(id)
	if err != nil {
		t.Fatal(err)
	}
	a, err := snap.fold()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCache(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(6, 0), forced())
	one := (&folded{adapter: foldOne(t, p, "alice")}).Bytes()
	key := func(i int) contentKey { return contentKey{byte(i)} }
	put := func(t *testing.T, c *cache, i int) *entry {
		t.Helper()
		e, mine := c.acquire(key(i))
		if !mine {
			t.Fatalf("key %d is there already", i)
		}
		c.fill(e, &folded{adapter: foldOne(t, p, "alice")}, nil)
		return e
	}
	has := func(t *testing.T, c *cache, want ...int) {
		t.Helper()
		if s := c.snapshot(); s.Entries != int64(len(want)) || s.Bytes != one*int64(len(want)) {
			t.Errorf("got %d entries of %d bytes, want %d of %d", s.Entries, s.Bytes, len(want), one*int64(len(want)))
		}
		for _, i := range want {
			e, mine := c.acquire(key(i))
			if mine || e.folded == nil {
				t.Fatalf("key %d is not there", i)
			}
			c.release(e)
		}
	}
	t.Run("least recently used leaves", func(t *testing.T) {
		c := newCache(2*one + 1)
		for i := range 3 {
			c.release(put(t, c, i))
			if i == 0 {
				has(t, c, 0)
			} else {
				has(t, c, i, 0) // 0 is the last that is used
			}
		}
		if s := c.snapshot(); s.Misses != 3 || s.Evictions != 1 {
			t.Errorf("got %+v, want 3 misses and an eviction", s)
		}
		c.close()
		has(t, c)
	})
	t.Run("what is in use stays", func(t *testing.T) {
		c := newCache(one)
		a, b := put(t, c, 0), put(t, c, 1)
		has(t, c, 0, 1)
		c.release(a)
		has(t, c, 1)
		c.release(b)
		has(t, c, 1)
		c.close()
	})
	t.Run("a budget smaller than an entry", func(t *testing.T) {
		c := newCache(1)
		e := put(t, c, 0)
		if e.folded == nil {
			t.Error("got no adapter")
		}
		c.release(e)
		has(t, c)
	})
	t.Run("dropped in use", func(t *testing.T) {
		c := newCache(10 * one)
		e := put(t, c, 0)
		c.drop(key(0))
		again := put(t, c, 0) // a new entry of the same key
		if e == again || e.folded == again.folded {
			t.Error("got the dropped entry")
		}
		c.release(e)
		has(t, c, 0)
		c.release(again)
		has(t, c, 0)
		c.drop(key(0))
		c.drop(key(0))
		has(t, c)
	})
	t.Run("dropped while it is folded", func(t *testing.T) {
		c := newCache(10 * one)
		e, _ := c.acquire(key(0))
		c.drop(key(0))
		again := put(t, c, 0)
		c.fill(e, nil, errTest) // must not take the new entry with it
		c.release(e)
		has(t, c, 0)
		c.release(again)
		c.close()
		has(t, c)
	})
	t.Run("an error is not kept", func(t *testing.T) {
		c := newCache(10 * one)
		e, _ := c.acquire(key(0))
		waiter, mine := c.acquire(key(0))
		if mine || waiter != e {
			t.Error("got another entry, want to wait")
		}
		c.fill(e, nil, errTest)
		if err := waiter.wait(context.Background()); err != nil || waiter.err != errTest {
			t.Errorf("got %v and %v, want the error", err, waiter.err)
		}
		c.release(e)
		c.release(waiter)
		has(t, c)
		c.release(put(t, c, 0))
		has(t, c, 0)
		c.close()
	})
	t.Run("waiting ends with ctx", func(t *testing.T) {
		c := newCache(10 * one)
		e, _ := c.acquire(key(0))
		waiter, _ := c.acquire(key(0))
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		wantError(t, "wait", waiter.wait(ctx), context.Canceled)
		c.release(waiter)
		c.fill(e, &folded{adapter: foldOne(t, p, "alice")}, nil)
		c.release(e)
		has(t, c, 0)
		c.close()
	})
}

// TestFoldOnce has many callers miss at once.
func TestFoldOnce(t *testing.T) {
	c := small(t)
	c.Options.Workers = 4
	p := create(t, c)
	mustLearn(t, p, "alice", examples(6, 0), forced())
	mustLearn(t, p, "bob", examples(6, 1), forced())
	before, err := p.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			mustBatch(t, p, []Request{{Profile: []string{"alice", "bob"}[i%2], Text: "a"},
				{Profile: []string{"bob", "alice"}[i%2], Text: "b"}})
		}()
	}
	wg.Wait()
	st, err := p.Stats(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	// rows of one pass ask once
	if st = st.Sub(before); st.Folds != 2 || st.Cache.Misses != 2 || st.Cache.Hits < 2 || st.Cache.Hits > 30 ||
		st.Cache.Entries != 2 {
		t.Errorf("got %d folds, %+v, want 2 folds for 2 profiles", st.Folds, st.Cache)
	}
	// Two profiles with the same masks share an adapter; a new revision lets go of the old one.
	rec, err := p.store.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	rec.ID = "twin"
	if err := p.store.PutBatch(context.Background(), []*store.Profile{rec}); err != nil {
		t.Fatal(err)
	}
	mustPredict(t, p, "twin", "a")
	if now, err := p.Stats(context.Background()); err != nil || now.Sub(before).Folds != 2 {
		t.Errorf("got %d folds (%v), want the twin to use alice's", now.Sub(before).Folds, err)
	}
	mustLearn(t, p, "bob", examples(12, 2), forced())
	mustPredict(t, p, "bob", "a")
	if now, err := p.Stats(context.Background()); err != nil || now.Cache.Entries != 2 {
		t.Errorf("got %d entries (%v), want the old revision's gone", now.Cache.Entries, err)
	}
	if err := p.Forget(context.Background(), "bob"); err != nil {
		t.Fatal(err)
	}
	if now, err := p.Stats(context.Background()); err != nil || now.Cache.Entries != 1 {
		t.Errorf("got %d entries (%v), want the forgotten one's gone", now.Cache.Entries, err)
	}
}

func mustBatch(t testing.TB, p *Folder, reqs []Request) []Prediction {
	t.Helper()
	out, err := p.PredictBatch(context.Background(), reqs)
	if err != nil {
		t.Error(err)
		return make([]Prediction, len(reqs))
	}
	for i := range out {
		if out[i].Err != nil {
			t.Errorf("row %d: %v", i, out[i].Err)
		}
	}
	return out
}

// TestCacheBudget serves more profiles than fit, one by one and together.
func TestCacheBudget(t *testing.T) {
	c := small(t)
	c.Options.CacheBytes = 1
	p := create(t, c)
	var reqs []Request
	var want []Prediction
	for i := range 4 {
		id, o := fmt.Sprint("profile ", i), forced()
		o.Config.Seed = uint64(i) // or who has the same examples has the same adapter
		mustLearn(t, p, id, examples(6, i), o)
		reqs = append(reqs, Request{Profile: id, Text: "server down"})
		want = append(want, mustPredict(t, p, id, "server down"))
	}
	for i, out := range mustBatch(t, p, reqs) {
		near(t, reqs[i].Profile, out, want[i])
	}
	if st, err := p.Stats(context.Background()); err != nil || st.Cache.Entries != 0 || st.Cache.Bytes != 0 ||
		st.Cache.Evictions != 8 ||
		st.Folds != 8 {
		t.Errorf("got %+v (%v), want nothing kept and 8 evictions", st, err)
	}
}
