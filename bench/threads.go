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
func benchThreads(ctx context.Context, dir string, texts []string, rounds int) error {
	text := words(texts, 30)
	fmt.Printf("\nthreads: texts a second of 1, 2 and 8 goroutines (one 30-word text a call)\n")
	fmt.Printf("  %-28s %8s %8s %8s   beside a busy loop %8s %8s\n", "", "1", "2", "8", "1", "8")
	for _, c := range []torch.Config{{Workers: 1, Threads: 2}, {Workers: 2}} {
		engine, enc, tok, err := open(ctx, dir, c)
		if err != nil {
			return err
		}
		call := func() error { return forward(ctx, engine, enc, tok, text) }
		fmt.Printf("  %-28s", fmt.Sprintf("%d workers, %d threads", c.Workers, max(c.Threads, 1)))
		for _, n := range []int{1, 2, 8} {
			fmt.Printf(" %8.1f", throughput(n, rounds*8, call))
		}
		stop := busy()
		fmt.Printf("   %18s %8.1f %8.1f\n", "", throughput(1, rounds*8, call), throughput(8, rounds*8, call))
		stop()
		enc.Close()
		engine.Close()
	}
	return nil
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
