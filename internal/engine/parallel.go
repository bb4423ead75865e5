package engine

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls f for every i below n, on as many goroutines as Go has threads. Once ctx has ended
// it starts no further call, and returns ctx's error.
func Each(ctx context.Context, n int, f func(i int)) error {
	var next atomic.Int64
	work := func() {
		for ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(i)
		}
	}
	var others sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) - 1 {
		others.Add(1)
		go func() {
			defer others.Done()
			work()
		}()
	}
	work()
	others.Wait()
	return ctx.Err()
}
