//go:build cgo

// Package torchtest opens engines for tests.
package torchtest

import (
	"os"
	"testing"

	"github.com/xpeft/xpeft/internal/torch"
)

// Open opens an engine on the device that XPEFT_TEST_DEVICE names (default cpu; a test is skipped where cuda is asked for and there is
// none). When the test ends it closes the engine and fails if a handle is left, after all cleanups that were registered later.
func Open(t testing.TB) *torch.Engine {
	t.Helper()
	device := torch.Device(os.Getenv("XPEFT_TEST_DEVICE"))
	if device == torch.CUDA && torch.CUDACount() == 0 {
		t.Skip("no CUDA device here: skipping a GPU test")
	}
	e, err := torch.Open(torch.Config{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		if n := e.Live(); n != 0 {
			t.Errorf("got %d live handles of libtorch, want 0", n)
		}
	})
	return e
}
