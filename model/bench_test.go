//go:build cgo

package model

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/torch"
)

// BenchmarkThreads is the measurement behind the thread policy of internal/torch: the real encoder on 30-word texts, in calls of 1 and
// 16 of them, from 1, 2 and 8 goroutines, under engines that share the cores differently. Run it on a quiet machine:
//
//	go test ./model -run '^$' -bench Threads -benchtime 2s
func BenchmarkThreads(b *testing.B) {
	tok, err := LoadTokenizer(golden.Model(b))
	if err != nil {
		b.Fatal(err)
	}
	var text Encoding
	tok.Encode(&text, strings.Repeat("please call me back about the invoice when you can ", 3), "", 128)
	for _, c := range []torch.Config{{Workers: 1, Threads: 2}, {Workers: 2, Threads: 1}} {
		for _, rows := range []int{1, 16} {
			texts := make([]Encoding, rows)
			for i := range texts {
				texts[i] = text
			}
			for _, callers := range []int{1, 2, 8} {
				b.Run(fmt.Sprintf("workers=%d/threads=%d/batch=%d/callers=%d", c.Workers, c.Threads, rows, callers), func(b *testing.B) {
					benchmarkEmbed(b, c, newBatch(b, texts), callers)
				})
			}
		}
	}
}

// benchmarkEmbed shares b.N calls among callers.
func benchmarkEmbed(b *testing.B, c torch.Config, batch *Batch, callers int) {
	e, err := torch.Open(c)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	enc := openEncoder(b, e, golden.Model(b))
	defer enc.Close()
	embed := func() {
		err := e.Do(context.Background(), func(s *torch.Scope) error { enc.Embed(s, batch, nil); return nil })
		if err != nil {
			b.Error(err)
		}
	}
	for range 2 * c.Workers { // page faults and OpenMP's threads
		embed()
	}
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range callers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range (b.N + i) / callers {
				embed()
			}
		}()
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*batch.B)/b.Elapsed().Seconds(), "texts/s")
}
