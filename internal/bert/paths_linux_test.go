package bert

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// cpuTime is this thread's: what others do on the machine counts little.
func cpuTime(t testing.TB) time.Duration {
	const thread = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, thread, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		t.Fatal(errno)
	}
	return time.Duration(now.Nano())
}

// headlines are texts of 32 tokens.
func headlines(rows int) Batch {
	b := Batch{Lengths: slices.Repeat([]int32{32}, rows), IDs: make([]int32, 32*rows), Types: make([]int32, 32*rows)}
	for i := range b.IDs {
		b.IDs[i] = int32(1000 + i*7919%20000)
	}
	return b
}

// BenchmarkPaths is texts a second of one thread's CPU time, on texts of 32 tokens, of all paths in
// turn: of each the median.
//
//	go test ./internal/bert -run '^$' -bench Paths -count 6
func BenchmarkPaths(b *testing.B) {
	models := everyPath(b, miniLM(b))
	for _, rows := range []int{1, 64} {
		b.Run(fmt.Sprintf("batch=%d", rows), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			batch, x, passes := headlines(rows), make([]float32, 384*rows), make([][]float64, len(models))
			for b.Loop() {
				for i, m := range models {
					from := cpuTime(b)
					for range 64 / rows {
						m.Embed(batch, nil, Mean, x, nil, nil)
					}
					passes[i] = append(passes[i], 64/(cpuTime(b)-from).Seconds())
				}
			}
			for i, m := range models {
				slices.Sort(passes[i])
				b.ReportMetric(passes[i][len(passes[i])/2], m.Kernel()+"-texts/s")
			}
		})
	}
}
