package numeric

import (
	"sync"
	"sync/atomic"
)

// Parallel calls f for parts of 0 to n−1 on several threads; each part's thread is less than
// threads. f writes to places of its own, so that the result does not depend on who did what.
func Parallel(threads, n, part int, f func(thread, from, to int)) {
	threads = min(threads, (n+part-1)/part)
	if threads <= 1 {
		for from := 0; from < n; from += part {
			f(0, from, min(from+part, n))
		}
		return
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for thread := range threads {
		done.Add(1)
		go func() {
			defer done.Done()
			for {
				from := int(next.Add(int64(part))) - part
				if from >= n {
					return
				}
				f(thread, from, min(from+part, n))
			}
		}()
	}
	done.Wait()
}
