//go:build cgo

package sdk

import (
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/torch"
)

// trimRest is how long the trimmer rests, in times of what its last trim took: so that many small
// trainings in a row pay a hundredth of their time for it at most.
const trimRest = 100

// trimmer gives back what a training took: tensors that it freed, which the C library would keep for
// the next. Without it a server's memory grows with every training that is the largest so far on its
// thread, for hours, to some 200 MiB more than it needs (docs/reliability.md).
type trimmer struct {
	mu   sync.Mutex
	last time.Time
	took time.Duration
}

// trim is called at the end of each training, by whoever held its turn.
func (t *trimmer) trim() {
	if !t.mu.TryLock() {
		return // another one is at it
	}
	defer t.mu.Unlock()
	began := time.Now()
	if began.Sub(t.last) < trimRest*t.took {
		return
	}
	torch.TrimMemory()
	t.last = time.Now()
	t.took = t.last.Sub(began)
}
