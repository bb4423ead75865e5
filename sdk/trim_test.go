//go:build cgo

package sdk

import (
	"testing"
	"time"
)

// TestTrainingsTrim: memory is given back after a training, and after the next only once the trimmer has rested.
func TestTrainingsTrim(t *testing.T) {
	p := create(t, small(t))
	last := func() time.Time {
		p.trimmer.mu.Lock()
		defer p.trimmer.mu.Unlock()
		return p.trimmer.last
	}
	if !last().IsZero() {
		t.Error("got memory trimmed before any training")
	}
	mustLearn(t, p, "ann", examples(6, 0), forced())
	first := last()
	if first.IsZero() {
		t.Fatal("got no memory trimmed after a training")
	}
	p.trimmer.took = time.Hour
	mustLearn(t, p, "ann", examples(6, 1), forced())
	if !last().Equal(first) {
		t.Error("got memory trimmed again within the rest")
	}
	p.trimmer.took = 0
	mustLearn(t, p, "bob", examples(6, 1), forced())
	if last().Equal(first) {
		t.Error("got no memory trimmed after the rest")
	}
}
