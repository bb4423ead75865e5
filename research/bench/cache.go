package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// workingSet is a folder that is asked for the profiles 0 to profiles-1, uniformly at random.
type workingSet struct {
	times    int // what its cache holds
	profiles int
	sdk      *sdk.Folder
	rng      *rand.Rand
	before   sdk.Stats
}

// benchCache answers batches of 64 rows of random profiles, out of working sets of 1 to 100 times
// what the cache holds, each through a Folder of its own over one folder. At 1 all are cached.
func benchCache(ctx context.Context, v env) (result, error) {
	size := 128
	if v.full {
		size = 600 // about what CacheBytes holds by default
	}
	r := result{Name: "cache", X: "working set, times the cache",
		What: fmt.Sprintf("PredictBatch of %d headlines of random profiles (N=%d, k=%d, all blocks), the working "+
			"set at times what the cache holds, %d adapters",
			mixedRows, fixtureN, fixtureK, size)}
	times := []int{1, 2, 5, 10, 100}
	dir, remove, err := fixture(ctx, v, size*times[len(times)-1])
	if err != nil {
		return r, err
	}
	defer remove()
	var sets []*workingSet
	for _, n := range times {
		w, err := openWorkingSet(ctx, v, dir, size, n)
		if err != nil {
			return r, err
		}
		defer w.sdk.Close()
		sets = append(sets, w)
	}
	for round := range v.rounds {
		for _, w := range sets {
			reqs := w.requests(v, round)
			began := time.Now()
			if err := predictAll(ctx, w.sdk, reqs); err != nil {
				return r, err
			}
			rate := mixedRows / time.Since(began).Seconds()
			r.add("working set", "texts/s", float64(w.times), rate)
			switch w.times {
			case 1:
				r.add("all cached", "texts/s", 0, rate)
			case 100:
				r.add("100 times the cache", "texts/s", 0, rate)
			}
		}
	}
	r.compare("100 times the cache over all cached", "100 times the cache", "all cached", "≥ 0.75")
	for _, w := range sets {
		st, err := w.sdk.Stats(ctx)
		if err != nil {
			return r, err
		}
		s := st.Sub(w.before).Cache
		r.Notes = append(r.Notes, fmt.Sprintf("at %d: %d entries cached, %d hits, %d misses", w.times, s.Entries,
			s.Hits, s.Misses))
	}
	return r, nil
}

// openWorkingSet fills the cache and lets a batch warm up.
func openWorkingSet(ctx context.Context, v env, dir string, size, times int) (*workingSet, error) {
	p, err := sdk.Open(ctx, dir, &sdk.Options{ReadOnly: true, CacheBytes: int64(size) * foldBank.FoldedBytes()})
	if err != nil {
		return nil, err
	}
	w := &workingSet{times: times, profiles: size * times, sdk: p, rng: rand.New(rand.NewPCG(7, uint64(times)))}
	ids := make([]string, size)
	for i := range ids {
		ids[i] = profileID(i)
	}
	err = p.Prefetch(ctx, ids...)
	if err == nil {
		err = predictAll(ctx, p, w.requests(v, 0))
	}
	if err == nil {
		w.before, err = p.Stats(ctx)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return w, nil
}

// requests are the same texts for all working sets, of their own random profiles.
func (w *workingSet) requests(v env, batch int) []sdk.Request {
	reqs := requests(v.texts, mixedRows, batch)
	for i := range reqs {
		reqs[i].Profile = profileID(w.rng.IntN(w.profiles))
	}
	return reqs
}
