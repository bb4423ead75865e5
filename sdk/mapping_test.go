package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xpeft/xpeft/store"
)

// tight is a folder of 20 profiles whose file outgrows its mapping of 1 MiB soon.
func tight(t *testing.T) *Folder {
	c := strong(t)
	c.Options.Reserve = 1 << 20
	p := create(t, c)
	for i := range 20 {
		rec := &store.Profile{ID: fmt.Sprint("user ", i), Bank: 1, Head: 1, Mask: plainMask(t, 8, i%8)}
		if _, err := p.store.Put(context.Background(), rec, store.Write{}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// outgrow puts profiles, with 64 KiB of state each, until the mapping was replaced three times.
func outgrow(t *testing.T, p *Folder) {
	mapped := func() int64 {
		st, err := p.Stats(context.Background())
		if err != nil {
			t.Error(err)
		}
		return st.Store.MapBytes
	}
	last, grown := mapped(), 0
	for i := 0; grown < 3 && i < 4000; i++ {
		rec := &store.Profile{ID: fmt.Sprint("more ", i), Bank: 1, Head: 1, Mask: plainMask(t, 8, i%8)}
		if _, err := p.store.Put(context.Background(), rec, store.Write{State: make([]byte, 64<<10)}); err != nil {
			t.Error(err)
			return
		}
		if now := mapped(); now > last {
			last, grown = now, grown+1
		}
	}
	if grown != 3 {
		t.Errorf("outgrown %d times, want 3", grown)
	}
}

// slowestAnswer has 8 goroutines Predict while fn runs.
func slowestAnswer(t *testing.T, p *Folder, fn func()) (slowest time.Duration, answers int64) {
	var stop atomic.Bool
	var asked atomic.Int64
	each := make([]time.Duration, 8)
	var askers sync.WaitGroup
	for i := range each {
		askers.Add(1)
		go func() {
			defer askers.Done()
			for n := i; !stop.Load(); n++ {
				began := time.Now()
				if _, err := p.Predict(context.Background(), fmt.Sprint("user ", n%20), question, nil); err != nil {
					t.Error(err)
					return
				}
				each[i] = max(each[i], time.Since(began))
				asked.Add(1)
				time.Sleep(time.Millisecond)
			}
		}()
	}
	fn()
	stop.Store(true)
	askers.Wait()
	for _, d := range each {
		slowest = max(slowest, d)
	}
	return slowest, asked.Load()
}

// slowestUnderBackup is slowestAnswer of outgrow under a Backup that ends only then. It must be of
// the state that it began at.
func slowestUnderBackup(t *testing.T, p *Folder) (slowest time.Duration, answers int64) {
	ctx := context.Background()
	var out bytes.Buffer
	begun, release := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(begun); <-release })
	done := make(chan error, 1)
	go func() {
		_, err := p.Backup(ctx, writerFunc(func(b []byte) (int, error) { first(); return out.Write(b) }), nil)
		done <- err
	}()
	<-begun
	hung := time.AfterFunc(5*time.Minute, func() { t.Error("calls wait for the Backup"); close(release) })
	slowest, answers = slowestAnswer(t, p, func() { outgrow(t, p) })
	if hung.Stop() {
		close(release)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(ctx, dir, nil, &out); err != nil {
		t.Fatal(err)
	}
	q := open(t, dir, &Options{Device: device(), Threads: 1})
	if _, err := q.Profile(ctx, "more 0"); !errors.Is(err, ErrProfileNotFound) {
		t.Errorf("the backup has a profile that came after it began: %v", err)
	}
	if _, err := q.Predict(ctx, "user 19", question, nil); err != nil {
		t.Error(err)
	}
	return slowest, answers
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestPredictUnderBackup has a store outgrow its mapping three times under a Backup while 8
// goroutines Predict: the slowest answer is within 100 ms of that without one. The machine may be
// busy with something else, so a slow answer counts if it is slow each time.
func TestPredictUnderBackup(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mapping is larger than the file")
	}
	var without, with time.Duration
	for range 9 {
		var n, m int64
		alone := tight(t)
		without, n = slowestAnswer(t, alone, func() { outgrow(t, alone) })
		with, m = slowestUnderBackup(t, tight(t))
		t.Logf("slowest of %d answers without a Backup: %v; of %d under one: %v", n, without, m, with)
		if t.Failed() || with <= without+100*time.Millisecond {
			return
		}
	}
	t.Errorf("slowest answer under a Backup: got %v, want %v and at most 100ms", with, without)
}
