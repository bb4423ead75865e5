package sdk

import (
	"container/list"
	"context"
	"fmt"
	"slices"
	"testing"
)

// reader asks a cache for keys, and folds what it misses.
type reader struct {
	t *testing.T
	p *Folder
	c *cache
}

// ask uses keys all at once, as a batch does, and returns how many were there.
func (r reader) ask(keys ...int) (hits int) {
	r.t.Helper()
	var used []*entry
	for _, k := range keys {
		e, mine := r.c.acquire(contentKey{byte(k), byte(k >> 8)})
		if mine {
			r.c.fill(e, &folded{adapter: foldOne(r.t, r.p, "alice")}, nil)
		} else {
			hits++
		}
		used = append(used, e)
	}
	for _, e := range used {
		r.c.release(e)
	}
	return hits
}

// newReader's cache holds so many adapters.
func newReader(t *testing.T, entries int64) reader {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(6, 0), forced())
	f := &folded{adapter: foldOne(t, p, "alice")}
	r := reader{t: t, p: p, c: newCache(entries * f.Bytes())}
	t.Cleanup(r.c.close)
	return r
}

func span(from, n int) []int {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = from + i
	}
	return keys
}

// lru counts hits as a cache that only knows recency.
type lru struct {
	most int
	list list.List
}

func (l *lru) ask(key int) (hit bool) {
	for e := l.list.Front(); e != nil; e = e.Next() {
		if e.Value == key {
			l.list.MoveToFront(e)
			return true
		}
	}
	if l.list.PushFront(key); l.list.Len() > l.most {
		l.list.Remove(l.list.Back())
	}
	return false
}

// TestCacheSurvivesScans asks for a hot set of 12 of 20 places between passes over 200 keys that
// are used once each, in batches of 8. The hot set stays.
func TestCacheSurvivesScans(t *testing.T) {
	const places, hot, scan, rounds = 20, 12, 200, 5
	r := newReader(t, places)
	recency := &lru{most: places}
	got, old, next := 0, 0, 1000
	for round := range rounds + 1 {
		for range 2 {
			for _, k := range span(0, hot) {
				hit := recency.ask(k)
				if n := r.ask(k); round > 0 {
					got += n
					if hit {
						old++
					}
				}
			}
		}
		for batch := range slices.Chunk(span(next, scan), 8) {
			for _, k := range batch {
				recency.ask(k)
			}
			if n := r.ask(batch...); n != 0 {
				t.Errorf("got %d hits of keys that are asked for once", n)
			}
		}
		next += scan
	}
	all := 2 * hot * rounds
	if t.Logf("hits of the hot set between scans: %d of %d; by recency alone %d", got, all, old); got != all ||
		old >= all*3/4 {
		t.Errorf("got %d of %d hits, by recency alone %d; want all, and fewer by recency", got, all, old)
	}
	if s := r.c.snapshot(); s.Entries != places {
		t.Errorf("got %d entries, want %d", s.Entries, places)
	}
}

// TestCacheFollows: a hot set that nobody asks for any more gives way to the next one.
func TestCacheFollows(t *testing.T) {
	const places, hot = 20, 14
	r := newReader(t, places)
	for set := range 3 {
		hits := 0
		for range 6 {
			hits = 0
			for _, k := range span(100*set, hot) {
				hits += r.ask(k)
			}
		}
		if hits != hot {
			t.Errorf("set %d: got %d of %d hits in the sixth round, want all", set, hits, hot)
		}
	}
}

func TestPrefetch(t *testing.T) {
	c := small(t)
	p := create(t, c)
	var ids []string
	for i := range 3 {
		ids = append(ids, fmt.Sprint("profile ", i))
		mustLearn(t, p, ids[i], examples(6, i), forced())
	}
	stats := func() Stats {
		t.Helper()
		st, err := p.Stats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	before := stats()
	err := p.Prefetch(context.Background(), ids[0], "nobody", ids[1], "", ids[0])
	wantError(t, "an unknown id", err, ErrProfileNotFound)
	wantError(t, "an empty id", err, ErrID)
	if st := stats().Sub(before); st.Folds != 2 || st.Cache.Entries != 2 {
		t.Errorf("got %d folds, %d entries, want those of the two that exist", st.Folds, st.Cache.Entries)
	}
	mustPredict(t, p, ids[0], "a")
	mustPredict(t, p, ids[1], "a")
	if st := stats().Sub(before); st.Folds != 2 {
		t.Errorf("got %d folds after Predict, want none more", st.Folds)
	}
	if err := p.Prefetch(context.Background()); err != nil {
		t.Errorf("no ids: got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	wantError(t, "ended", p.Prefetch(ctx, ids...), context.Canceled)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "closed", p.Prefetch(context.Background(), ids[0]), ErrClosed)
}

// TestPrefetchFits takes the first ids that fit, and what is asked for once does not drive them
// out.
func TestPrefetchFits(t *testing.T) {
	c := small(t)
	p := create(t, c)
	var ids []string
	for i := range 12 {
		ids = append(ids, fmt.Sprint("profile ", i))
		o := forced()
		o.Config.Seed = uint64(i) // or who has the same examples has the same adapter
		mustLearn(t, p, ids[i], examples(6, i), o)
	}
	p.options.CacheBytes = 5 * (&folded{adapter: foldOne(t, p, ids[0])}).Bytes()
	p.cache.close()
	p.cache = newCache(p.options.CacheBytes)
	before := p.counters.folds.Load()
	if err := p.Prefetch(context.Background(), ids[:6]...); err != nil {
		t.Fatal(err)
	}
	if got := p.counters.folds.Load() - before; got != 5 || p.cache.snapshot().Entries != 5 {
		t.Errorf("got %d folds, %d entries, want the 5 that fit", got, p.cache.snapshot().Entries)
	}
	for _, id := range ids[6:] {
		mustPredict(t, p, id, "a")
	}
	before = p.counters.folds.Load()
	for _, id := range ids[1:5] { // a fifth of the budget is for newcomers
		mustPredict(t, p, id, "a")
	}
	if got := p.counters.folds.Load() - before; got != 0 {
		t.Errorf("got %d folds, want the prefetched ones still there", got)
	}
}
