package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// benchClients measures Predict by 1, 2, 8 and 64 clients at once, each with profiles of its own,
// alone and beside a busy loop: under one worker, as many as cores (the default) and twice as many.
// Every client sends its next text when it has its answer.
func benchClients(ctx context.Context, v env) (result, error) {
	r := result{Name: "clients", What: "Predict of headlines through cached profiles by 1 to 64 clients, each " +
		"waiting for its answer; W workers, alone and beside a busy loop"}
	dir, remove, err := fixture(ctx, v, mixedRows)
	if err != nil {
		return r, err
	}
	defer remove()
	for _, workers := range []int{1, 2, 4} {
		p, err := sdk.Open(ctx, dir, &sdk.Options{Workers: workers})
		if err != nil {
			return r, err
		}
		err = clientRounds(ctx, v, &r, p, workers)
		p.Close()
		if err != nil {
			return r, err
		}
	}
	r.compare("p99 of 8 clients over that of 1", "2 workers, 8 clients: p99", "2 workers, 1 clients: p99", "")
	r.compare("texts a second of 64 clients over those of 1", "2 workers, 64 clients", "2 workers, 1 clients", "")
	return r, nil
}

func clientRounds(ctx context.Context, v env, r *result, p *sdk.Folder, workers int) error {
	if err := predictAll(ctx, p, requests(v.texts, mixedRows, 0)); err != nil { // every adapter is folded
		return err
	}
	calls := 64
	if v.full {
		calls = 256
	}
	for range v.rounds {
		for _, beside := range []string{"", ", busy"} {
			stop := func() {}
			if beside != "" {
				stop = busy()
			}
			for _, n := range []int{1, 2, 8, 64} {
				rate, ms, err := clients(ctx, v, p, n, calls)
				if err != nil {
					stop()
					return err
				}
				name := fmt.Sprintf("%d workers, %d clients%s", workers, n, beside)
				r.add(name, "texts/s", 0, rate)
				r.add(name+": p50", "ms", 0, quantile(ms, 0.5))
				r.add(name+": p99", "ms", 0, quantile(ms, 0.99))
			}
			stop()
		}
	}
	return nil
}

// clients has n of them send calls texts in all, and returns texts a second and how long each call
// took, in ms.
func clients(ctx context.Context, v env, p *sdk.Folder, n, calls int) (rate float64, ms []float64, err error) {
	var all sync.WaitGroup
	took, errs := make([][]float64, n), make([]error, n)
	began := time.Now()
	for c := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			at := 0
			took[c], errs[c] = timed(calls/n, func() error {
				at++
				_, err := p.Predict(ctx, profileID(c), v.texts[(c*7+at)%len(v.texts)], nil)
				return err
			})
		}()
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	for _, err := range errs {
		if err != nil {
			return 0, nil, err
		}
	}
	return float64(calls/n*n) / seconds, slices.Concat(took...), nil
}

// busy takes one core until stop.
func busy() (stop func()) {
	var done atomic.Bool
	go func() {
		for n := 0; !done.Load(); n++ {
		}
	}()
	return func() { done.Store(true) }
}
