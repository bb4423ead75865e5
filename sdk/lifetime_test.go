package sdk

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestClose closes from many goroutines while calls are in progress.
func TestClose(t *testing.T) {
	ctx := context.Background()
	threads := runtime.NumGoroutine()
	p, err := Create(ctx, t.TempDir(), small(t))
	if err != nil {
		t.Fatal(err)
	}
	mustLearn(t, p, "alice", examples(6, 0), forced())
	var wg sync.WaitGroup
	var answered atomic.Int64
	begun := make(chan struct{}, 100)
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				_, err := p.Predict(ctx, "alice", "server down", nil)
				begun <- struct{}{}
				if err != nil {
					wantError(t, "Predict", err, ErrClosed)
					return
				}
				answered.Add(1)
			}
		}()
	}
	go func() {
		for range begun {
		}
	}()
	for answered.Load() < 16 {
		time.Sleep(time.Millisecond)
	}
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			checkFreed(t, p)
		}()
	}
	wg.Wait()
	close(begun)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for name, call := range map[string]func() error{
		"Learn":        func() error { _, err := p.Learn(ctx, "a", examples(3, 0), nil); return err },
		"Predict":      func() error { _, err := p.Predict(ctx, "a", "b", nil); return err },
		"PredictBatch": func() error { _, err := p.PredictBatch(ctx, nil); return err },
		"Export":       func() error { _, err := p.Export(ctx, new(bytes.Buffer), nil); return err },
		"ExportWith":   func() error { _, err := p.Export(ctx, new(bytes.Buffer), &ExportOptions{}); return err },
		"Import":       func() error { _, err := p.Import(ctx, new(bytes.Buffer), nil); return err },
		"Forget":       func() error { return p.Forget(ctx, "a") },
		"TrainHead":    func() error { _, err := p.TrainHead(ctx, nil); return err },
		"Profile":      func() error { _, err := p.Profile(ctx, "a"); return err },
		"Profiles": func() error {
			for _, err := range p.Profiles(ctx, nil) {
				return err
			}
			return nil
		},
		"Labels":  func() error { _, err := p.Labels(ctx); return err },
		"Stats":   func() error { _, err := p.Stats(ctx); return err },
		"Check":   func() error { _, err := p.Check(ctx, &CheckOptions{Deep: true}); return err },
		"Backup":  func() error { _, err := p.Backup(ctx, new(bytes.Buffer), nil); return err },
		"Compact": func() error { _, err := p.Compact(ctx); return err },
	} {
		wantError(t, name, call(), ErrClosed)
	}
	waitGoroutines(t, threads)
}

// TestCloseWaits closes during a Learn and a listing.
func TestCloseWaits(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(6, 0), forced())
	closed := make(chan error, 1)
	o := forced()
	o.Progress = func(step, steps int, loss float32) {
		if step == 1 {
			go func() { closed <- p.Close() }()
			for {
				if _, err := p.Labels(context.Background()); err != nil {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	for info, err := range p.Profiles(context.Background(), nil) {
		if err != nil || info.ID != "alice" {
			t.Errorf("got %+v and %v, want alice", info, err)
		}
		if rep := mustLearn(t, p, "alice", examples(6, 1), o); rep.Revision != 2 {
			t.Errorf("got %+v, want revision 2: Close waits", rep)
		}
		select {
		case err := <-closed:
			t.Errorf("got %v, want Close to wait for the loop", err)
		default:
		}
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	q, err := Open(context.Background(), p.dir, &Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer closeClean(t, q)
	if out := mustPredict(t, q, "alice", "x"); out.Revision != 2 {
		t.Errorf("got %+v, want revision 2", out)
	}
}

func TestKeyLock(t *testing.T) {
	var k keyLock
	var wg sync.WaitGroup
	counts := make([]int, 3)
	for i := range 30 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 100 {
				unlock, ok := k.lock(fmt.Sprint(i%3), nil)
				if !ok {
					t.Error("got no lock")
					return
				}
				counts[i%3]++
				unlock()
			}
		}()
	}
	wg.Wait()
	for i, n := range counts {
		if n != 1000 {
			t.Errorf("key %d: got %d, want 1000", i, n)
		}
	}
	if len(k.locks) != 0 {
		t.Errorf("got %d locks left, want none", len(k.locks))
	}
}
