//go:build torch && cgo

package torch

import (
	"sync"
	"time"

	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
)

const (
	// trimAfter is how long after the last step memory is given back.
	trimAfter = time.Second
	// trimLatest is how long after the first one, while others follow.
	trimLatest = time.Minute
)

// trimmer gives back what trainings took: tensors that they freed, which the C library would keep
// for the next. Without it a server's memory grows with every training that is the largest so far
// on its thread, for hours, to some 200 MiB more than it needs (docs/reliability.md).
type trimmer struct {
	mu    sync.Mutex
	timer *time.Timer // nil when there is nothing to give back
	first time.Time
	ended bool
	trims int
}

// soon is called after each step.
func (t *trimmer) soon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
	case t.timer == nil:
		t.timer, t.first = time.AfterFunc(trimAfter, t.trim), time.Now()
	case time.Since(t.first) < trimLatest:
		t.timer.Reset(trimAfter)
	}
}

func (t *trimmer) trim() {
	t.mu.Lock()
	t.timer = nil
	t.trims++
	t.mu.Unlock()
	libtorch.TrimMemory()
}

// stop gives back what waits, once.
func (t *trimmer) stop() {
	t.mu.Lock()
	waits := t.timer != nil && t.timer.Stop()
	t.timer, t.ended = nil, true
	t.mu.Unlock()
	if waits {
		libtorch.TrimMemory()
	}
}
