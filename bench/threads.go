//go:build cgo

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xpeft/xpeft/internal/torch"
)

// benchThreads measures how the cores are shared: forward passes of one 30-word text by 1, 2 and 8 goroutines, under an engine of one worker with two
// threads and under one of two workers with one thread each, alone and beside a busy loop.
func benchThreads(ctx context.Context, v env) (result, error) {
	r := result{Name: "threads", What: "forward passes of one 30-word text a call, by 1, 2 and 8 callers, alone and beside a busy loop"}
	text := words(v.texts, 30)
	for _, c := range []torch.Config{{Workers: 1, Threads: 2}, {Workers: 2}} {
		engine, enc, tok, err := open(ctx, v.model, c)
		if err != nil {
			return r, err
		}
		call := func() error { return forward(ctx, engine, enc, tok, text) }
		name := fmt.Sprintf("%d workers, %d threads", c.Workers, max(c.Threads, 1))
		for _, n := range []int{1, 2, 8} {
			r.add(fmt.Sprintf("%s, %d callers", name, n), "texts/s", 0, throughput(n, v.rounds*8, call))
		}
		stop := busy()
		for _, n := range []int{1, 8} {
			r.add(fmt.Sprintf("%s, %d callers, busy", name, n), "texts/s", 0, throughput(n, v.rounds*8, call))
		}
		stop()
		enc.Close()
		engine.Close()
	}
	return r, nil
}

// throughput runs calls by n goroutines and returns calls a second.
func throughput(n, calls int, f func() error) float64 {
	for range 4 {
		_ = f()
	}
	var wg sync.WaitGroup
	began := time.Now()
	for range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range calls / n {
				_ = f()
			}
		}()
	}
	wg.Wait()
	return float64(calls/n*n) / time.Since(began).Seconds()
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
