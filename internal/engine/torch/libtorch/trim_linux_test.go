//go:build torch && cgo

package libtorch

import (
	"context"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/xpeft/xpeft/internal/engine/torch/malloc"
)

// TestTrimMemory: what freed tensors took goes back to the system although a few that are kept lie
// between and behind them, where the C library does not give it back by itself.
func TestTrimMemory(t *testing.T) {
	e, err := Open(Config{Workers: 1, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if malloc.Read() == (malloc.Info{}) {
		t.Skip("the C library is not glibc")
	}
	// 64 KiB each: too small for glibc to map it by itself
	const tensors, floats, size = 2000, 16 << 10, 2000 * 64 << 10
	err = e.Do(context.Background(), func(s *Scope) error {
		var drop []Tensor
		for i := range tensors {
			x := s.Float32s(make([]float32, floats), floats)
			if i%100 != 99 {
				drop = append(drop, x)
			}
		}
		full := resident(t)
		s.Free(drop...)
		freed := resident(t)
		TrimMemory()
		trimmed := resident(t)
		t.Logf("%d MiB with %d MiB of tensors, %d once most are freed, %d after TrimMemory", full>>20, size>>20,
			freed>>20, trimmed>>20)
		if full-trimmed < size*8/10 || full-freed > size/2 {
			t.Errorf("got %d and %d MiB less, want little without TrimMemory and %d MiB with it", (full-freed)>>20,
				(full-trimmed)>>20, size>>20)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// resident is how many bytes of its own the process has in memory.
func resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	m := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status)
	if err != nil || m == nil {
		t.Fatalf("no RssAnon (%v)", err)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}
