package store

import (
	"errors"
	"testing"
)

// TestCompactOnWindows: Compact says that it cannot, and changes nothing.
func TestCompactOnWindows(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 20)
	want := contents(t, s)
	if report, err := s.Compact(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %+v, %v, want errors.ErrUnsupported", report, err)
	}
	if got := contents(t, s); len(got) != len(want) {
		t.Errorf("got %d profiles after it, want %d", len(got), len(want))
	}
}
