//go:build unix

package sdk

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/folder"
)

// TestSlowBank opens a bank whose file is a pipe that nobody writes to: it must keep nobody waiting
// who asks over another bank.
func TestSlowBank(t *testing.T) {
	p := create(t, small(t))
	b, err := p.bank(1)
	if err != nil {
		t.Fatal(err)
	}
	mustObserve(t, p, "alice", Example{Text: "server down", Label: "urgent"})
	want := mustPredict(t, p, "alice", "server down")
	props := b.Properties()
	props.Origin, props.Seed, props.SigmaA, props.SigmaB = bank.Warm, 0, 0, 0
	info, err := folder.Info(props, bank.Digest{9})
	if err != nil {
		t.Fatal(err)
	}
	slow, err := p.store.PutBank(t.Context(), info)
	if err != nil {
		t.Fatal(err)
	}
	path := folder.BankPath(p.dir, info.Digest)
	if err := errors.Join(folder.MakeBanks(p.dir), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	for range 2 {
		go func() {
			_, err := p.bank(slow)
			opened <- err
		}()
	}
	time.Sleep(100 * time.Millisecond) // until it is being opened
	answered := make(chan Prediction, 1)
	go func() { answered <- mustPredict(t, p, "alice", "server down") }()
	select {
	case got := <-answered:
		if got.Label != want.Label {
			t.Errorf("got %q, want %q", got.Label, want.Label)
		}
	case <-time.After(5 * time.Second):
		t.Error("Predict waits for a bank that is not its own")
	}
	writer, err := os.OpenFile(path, os.O_WRONLY, 0) // ends the waiting
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for range 2 {
		if err := <-opened; err == nil {
			t.Error("got a bank out of a pipe")
		}
	}
	if err := p.Close(); err != nil { // before the helper's Check, which would wait for the pipe
		t.Error(err)
	}
}

// TestByRef loads each ref once, whoever asks at the same time; what failed, or panicked, is loaded
// again.
func TestByRef(t *testing.T) {
	var b byRef[int]
	var loads atomic.Int64
	begun, release := make(chan struct{}), make(chan struct{})
	load := func(ref uint32) (int, error) {
		if loads.Add(1) == 1 {
			close(begun)
		}
		<-release
		return int(ref), nil
	}
	var askers sync.WaitGroup
	for range 8 {
		askers.Add(1)
		go func() {
			defer askers.Done()
			if got, err := b.get(7, load); got != 7 || err != nil {
				t.Errorf("got %d, %v, want 7", got, err)
			}
		}()
	}
	<-begun
	if got, err := b.get(8, func(uint32) (int, error) { return 80, nil }); got != 80 || err != nil {
		t.Errorf("another ref: got %d, %v, want 80", got, err)
	}
	close(release)
	askers.Wait()
	if n := loads.Load(); n != 1 {
		t.Errorf("loaded %d times, want once", n)
	}
	failed := errors.New("no bank")
	if _, err := b.get(9, func(uint32) (int, error) { return 0, failed }); err != failed {
		t.Errorf("got %v, want %v", err, failed)
	}
	func() {
		defer func() {
			if v := recover(); v != "broken" {
				t.Errorf("got the panic %v, want it to reach who loads", v)
			}
		}()
		_, _ = b.get(9, func(uint32) (int, error) { panic("broken") })
	}()
	if got, err := b.get(9, func(uint32) (int, error) { return 90, nil }); got != 90 || err != nil {
		t.Errorf("again: got %d, %v, want 90", got, err)
	}
	n := 0
	for range b.all() {
		n++
	}
	if n != 3 {
		t.Errorf("%d are kept, want 3", n)
	}
}
