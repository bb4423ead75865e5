package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store"
)

// once measures what one loaded store is enough for: its size, and how it opens and is read.
func (b *storeBench) once(ctx context.Context, dir string) error {
	path := filepath.Join(dir, "xpeft.db")
	b.add("masks, id and 32", "B each", float64(bitmask.Size(storeN, storeBlocks)+len(storeID(0))+storeSpare))
	if err := b.shuffled(ctx, filepath.Join(dir, "shuffled.db")); err != nil {
		return err
	}
	s, err := store.Open(path, nil)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := b.addSize("file", s); err != nil {
		return err
	}
	if err := b.gets(s); err != nil {
		return err
	}
	for range 11 {
		if err := b.list(s); err != nil {
			return err
		}
	}
	for range 5 {
		if err := b.query(ctx, s); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	return b.opens(path)
}

// shuffled loads another store, the ids in random order.
func (b *storeBench) shuffled(ctx context.Context, path string) error {
	s, err := createStore(ctx, path)
	if err != nil {
		return err
	}
	defer s.Close()
	order := rand.New(rand.NewPCG(1, 2)).Perm(b.n)
	d, err := b.load(ctx, s, func(i int) int { return order[i] })
	if err != nil {
		return err
	}
	b.took("load, ids in random order", b.n, d)
	return b.addSize("file, ids in random order", s)
}

// gets reads profiles at random.
func (b *storeBench) gets(s *store.Store) error {
	rng := rand.New(rand.NewPCG(1, 3))
	get := func() error { _, err := s.Get(storeID(rng.IntN(b.n))); return err }
	if _, err := timed(2000, get); err != nil { // they warm up
		return err
	}
	for range 11 {
		ms, err := timed(20_000, get)
		if err != nil {
			return err
		}
		b.add("get p50", "µs", quantile(ms, 0.5)*1e3)
		b.add("get p99", "µs", quantile(ms, 0.99)*1e3)
		b.r.add("time of get p50", "ms", float64(b.n), quantile(ms, 0.5))
	}
	return nil
}

// list lists the thousand profiles of one prefix, which every count has.
func (b *storeBench) list(s *store.Store) error {
	began, n := time.Now(), 0
	for _, err := range s.Profiles(storeID(0)[:len(storeID(0))-3]) {
		if err != nil {
			return err
		}
		n++
	}
	if n != 1000 {
		return fmt.Errorf("%d profiles listed", n)
	}
	b.took("list", n, time.Since(began))
	return nil
}

// opens opens and closes the store.
func (b *storeBench) opens(path string) error {
	for range 11 {
		began := time.Now()
		s, err := store.Open(path, nil)
		if err != nil {
			return err
		}
		d := time.Since(began)
		if err := s.Close(); err != nil {
			return err
		}
		b.add("open", "ms", d.Seconds()*1e3)
		b.r.add("time of open", "ms", float64(b.n), d.Seconds()*1e3)
	}
	return nil
}

// query lists a small cohort.
func (b *storeBench) query(ctx context.Context, s *store.Store) error {
	few := storeProfile(0)
	few.Examples = 0
	if _, err := s.Put(ctx, few, store.Write{}); err != nil {
		return err
	}
	began, n := time.Now(), 0
	for _, err := range s.Profiles("", store.Filter{Observed: true}) {
		if err != nil {
			return err
		}
		n++
	}
	if n != 1 {
		return fmt.Errorf("a cohort of %d profiles, want 1", n)
	}
	b.add("list of a cohort of one", "ms", time.Since(began).Seconds()*1e3)
	return nil
}
