//go:build !torch || !cgo

package torch

import (
	"errors"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
)

// TestStub: a program without libtorch says so, and how to get it.
func TestStub(t *testing.T) {
	if Built {
		t.Error("got Built, want a program without libtorch")
	}
	for device, want := range map[string]error{"cuda": engine.ErrNoCUDA, "cpu": ErrNotBuilt, "auto": ErrNotBuilt,
		"": ErrNotBuilt} {
		e, err := Open(nil, Config{Device: device})
		if e != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), "-tags torch") {
			t.Errorf("%q: got %v, want %v with a word about -tags torch", device, err, want)
		}
	}
}
