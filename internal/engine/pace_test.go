package engine

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// TestPace: work on many pieces keeps to as many goroutines as there may be, and ends though there
// may be none.
func TestPace(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for _, c := range []struct{ allowed, least, most int64 }{{1, 1, 1}, {2, 2, 2}, {0, 1, 1}, {9, 3, 4}} {
		var asked, at, most atomic.Int64
		ctx := WithPace(context.Background(), func() int { asked.Add(1); return int(c.allowed) })
		done := make([]bool, 40)
		began := time.Now()
		err := Each(ctx, len(done), func(i int) {
			n := at.Add(1)
			for now := most.Load(); n > now && !most.CompareAndSwap(now, n); now = most.Load() {
			}
			time.Sleep(2 * time.Millisecond)
			done[i] = true
			at.Add(-1)
		})
		for i, d := range done {
			if !d {
				t.Errorf("pace %d: piece %d was left out", c.allowed, i)
			}
		}
		if m := most.Load(); err != nil || asked.Load() < int64(len(done)) || m < c.least || m > c.most {
			t.Errorf("pace %d: got %d pieces at once (%v), want %d to %d", c.allowed, m, err, c.least, c.most)
		}
		if took := time.Since(began); c.allowed == 0 && took < 39*slowest*2*time.Millisecond/2 {
			t.Errorf("got all in %v at no pace at all, want it to wait %d times as long as it works", took, slowest)
		}
	}
}

// TestPaceEnds: a worker that waits hears of its context's end.
func TestPaceEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(WithPace(context.Background(), func() int { return 0 }))
	err := Each(ctx, 100, func(int) {
		time.Sleep(time.Millisecond)
		cancel()
	})
	if err != context.Canceled {
		t.Errorf("got %v, want the context's error", err)
	}
}
