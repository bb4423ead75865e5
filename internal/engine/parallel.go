package engine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Each calls f for every i below n, on as many goroutines as Go has threads, or as ctx's pace says.
// Once ctx has ended it starts no further call, and returns ctx's error.
func Each(ctx context.Context, n int, f func(i int)) error {
	var next atomic.Int64
	pace, _ := ctx.Value(paceKey{}).(Pace)
	work := func(worker int) {
		for took := time.Duration(0); ctx.Err() == nil; {
			began := time.Now()
			pace.wait(worker, func() bool {
				return ctx.Err() != nil || int(next.Load()) >= n || worker == 0 && time.Since(began) > slowest*took
			})
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			began = time.Now()
			f(i)
			took = time.Since(began)
		}
	}
	var others sync.WaitGroup
	for worker := 1; worker < min(n, runtime.GOMAXPROCS(0)); worker++ {
		others.Add(1)
		go func() {
			defer others.Done()
			work(worker)
		}()
	}
	work(0)
	others.Wait()
	return ctx.Err()
}

// Pace says on how many goroutines to work now. It is asked before each piece of work, so that
// whoever works on many pieces leaves the cores to those who wait for an answer.
type Pace func() int

// slowest is how many times as long as it worked a worker waits at most, so that work ends at any
// pace.
const slowest = 3

// pause is how long a worker waits before it asks again.
const pause = time.Millisecond

type paceKey struct{}

// WithPace makes [Each] keep a pace in calls that are given the context.
func WithPace(ctx context.Context, p Pace) context.Context {
	return context.WithValue(ctx, paceKey{}, p)
}

// wait returns when a worker may go on, or must.
func (p Pace) wait(worker int, must func() bool) {
	if p == nil {
		return
	}
	runtime.Gosched() // to who waits for a thread
	for worker >= p() && !must() {
		time.Sleep(pause)
	}
}
