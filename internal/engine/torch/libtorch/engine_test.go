//go:build torch && cgo

package libtorch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sugarme/gotch/libtch"
)

// open opens an engine whose handles must all be free when the test ends.
func open(t testing.TB, c Config) *Engine {
	t.Helper()
	e, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close()
		if n := e.Live(); n != 0 {
			t.Errorf("got %d live handles, want 0", n)
		}
	})
	return e
}

// do runs f and fails the test unless it succeeds.
func do(t *testing.T, e *Engine, f func(*Scope)) {
	t.Helper()
	if err := e.Do(context.Background(), func(s *Scope) error { f(s); return nil }); err != nil {
		t.Fatal(err)
	}
}

// gradsOn says what the engine thread's gradient mode is.
func gradsOn(s *Scope) bool {
	w := s.Param(s.Float32s([]float32{1}, 1))
	return libtch.AtRequiresGrad(s.Mul(w, w).c)
}

func TestOperatorErrorFreesEverything(t *testing.T) {
	e := open(t, Config{Workers: 1})
	err := e.Do(context.Background(), func(s *Scope) error {
		a := s.Zeros(Float32, 2, 3)
		if e.Live() != 1 {
			t.Errorf("inside: got %d live handles, want 1", e.Live())
		}
		s.MatMul(a, s.Zeros(Float32, 2, 3))
		t.Error("an operator returned after it failed")
		return nil
	})
	var te *Error
	if !errors.As(err, &te) || te.Op != "matmul" || te.Msg == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %q, want an *Error of matmul in one line", err)
	}
	if e.Live() != 0 {
		t.Errorf("got %d live handles, want 0", e.Live())
	}
}

func TestErrorOfClosure(t *testing.T) {
	e, want := open(t, Config{}), errors.New("mine")
	err := e.Do(context.Background(), func(s *Scope) error {
		s.Zeros(Float32, 8)
		return want
	})
	if err != want || e.Live() != 0 {
		t.Errorf("got %v with %d live handles, want %v with 0", err, e.Live(), want)
	}
}

// TestPanic: what is not ours surfaces in the caller's goroutine, and the same thread goes on
// without gradients.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	e := open(t, Config{Workers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for name, run := range map[string]func(context.Context, func(*Scope) error) error{"Do": e.Do, "Train": e.Train} {
		t.Run(name, func(t *testing.T) {
			var got any
			func() {
				defer func() { got = recover() }()
				err := run(context.Background(), func(s *Scope) error {
					s.Zeros(Float32, 8)
					panic("foreign")
				})
				t.Errorf("got %v, want a panic", err)
			}()
			if got != "foreign" {
				t.Errorf("got panic %v, want foreign", got)
			}
			if !strings.Contains(log.String(), "TestPanic") {
				t.Errorf("got log %q, want the closure's stack", log.String())
			}
			log.Reset()
			if e.Live() != 0 {
				t.Errorf("got %d live handles, want 0", e.Live())
			}
			do(t, e, func(s *Scope) {
				if gradsOn(s) {
					t.Error("gradients are on after a panic")
				}
			})
		})
	}
}

func TestGradientsAreOnInTrainOnly(t *testing.T) {
	e := open(t, Config{Workers: 1})
	ctx := context.Background()
	for _, f := range []func(s *Scope) error{
		func(s *Scope) error { return nil },
		func(s *Scope) error { return errors.New("mine") },
		func(s *Scope) error { s.MatMul(s.Zeros(Float32, 2), s.Zeros(Float32, 3)); return nil },
	} {
		e.Train(ctx, func(s *Scope) error {
			if !gradsOn(s) {
				t.Error("gradients are off in Train")
			}
			return f(s)
		})
		do(t, e, func(s *Scope) {
			if gradsOn(s) {
				t.Error("gradients are on in Do")
			}
		})
	}
}

// TestGoexit: a closure that ends its goroutine, as t.FailNow does, takes neither the caller nor
// the engine with it.
func TestGoexit(t *testing.T) {
	e := open(t, Config{Workers: 1})
	err := e.Train(context.Background(), func(s *Scope) error {
		s.Zeros(Float32, 8)
		runtime.Goexit()
		return nil
	})
	if !errors.Is(err, errGoexit) {
		t.Errorf("got %v, want %v", err, errGoexit)
	}
	do(t, e, func(s *Scope) {
		if gradsOn(s) {
			t.Error("gradients are on")
		}
	})
}

// busy keeps every worker in a closure until the returned function is called.
func busy(t *testing.T, e *Engine) (release func()) {
	t.Helper()
	hold := make(chan struct{})
	var in, out sync.WaitGroup
	for range e.config.Workers {
		in.Add(1)
		out.Add(1)
		go func() {
			defer out.Done()
			err := e.Do(context.Background(), func(s *Scope) error {
				in.Done()
				<-hold
				s.Zeros(Float32, 8)
				return nil
			})
			if err != nil {
				t.Errorf("a running closure: got %v, want no error", err)
			}
		}()
	}
	in.Wait()
	return func() { close(hold); out.Wait() }
}

func never(t *testing.T) func(*Scope) error {
	return func(*Scope) error { t.Error("the closure ran"); return nil }
}

func TestContextWhileWaiting(t *testing.T) {
	e := open(t, Config{})
	release := busy(t, e)
	defer release()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := e.Do(ctx, never(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
	if err := e.Do(ctx, never(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("done before the call: got %v, want %v", err, context.DeadlineExceeded)
	}
}

// TestClose: running closures end, waiting callers get ErrClosed, and Close waits for the former.
func TestClose(t *testing.T) {
	e := open(t, Config{})
	release := busy(t, e)
	waiting := make(chan error, 4)
	for range cap(waiting) {
		go func() { waiting <- e.Do(context.Background(), never(t)) }()
	}
	time.Sleep(10 * time.Millisecond) // most of them wait by now; the others find it closed
	closed := make(chan struct{})
	go func() { e.Close(); close(closed) }()
	for range cap(waiting) {
		if err := <-waiting; err != ErrClosed {
			t.Errorf("a waiting caller: got %v, want %v", err, ErrClosed)
		}
	}
	select {
	case <-closed:
		t.Error("Close returned while closures ran")
	default:
	}
	release()
	<-closed
	if err := e.Close(); err != nil {
		t.Errorf("second Close: got %v, want nil", err)
	}
	if err := e.Do(context.Background(), never(t)); err != ErrClosed {
		t.Errorf("after Close: got %v, want %v", err, ErrClosed)
	}
}

// TestConcurrent: closures of many goroutines, a third of which fail, under a busy collector.
func TestConcurrent(t *testing.T) {
	e := open(t, Config{Workers: 3, Threads: 1})
	var stop atomic.Bool
	var all, gc sync.WaitGroup
	gc.Add(1)
	go func() {
		defer gc.Done()
		for !stop.Load() {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
	}()
	for g := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 200 {
				concurrentRound(t, e, rng, i%3 == 0)
			}
		}()
	}
	all.Wait()
	stop.Store(true)
	gc.Wait()
}

func concurrentRound(t *testing.T, e *Engine, rng *rand.Rand, fail bool) {
	x := [4]float32{rng.Float32(), rng.Float32(), rng.Float32(), rng.Float32()}
	train := rng.IntN(2) == 0
	run := e.Do
	if train {
		run = e.Train
	}
	var y [4]float32
	err := run(context.Background(), func(s *Scope) error {
		a := s.Float32s(x[:], 2, 2)
		if gradsOn(s) != train {
			t.Errorf("gradients: got %t, want %t", !train, train)
		}
		b := s.Block(func() Tensor { return s.MatMul(s.Add(a, a), a) })
		if fail {
			s.MatMul(b, s.Zeros(Float32, 3))
		}
		return s.ReadFloat32s(b, y[:])
	})
	var te *Error
	if fail {
		if !errors.As(err, &te) || te.Op != "matmul" {
			t.Errorf("got %v, want an error of matmul", err)
		}
		return
	}
	if err != nil {
		t.Error(err)
	}
	for i := range y {
		r, c := i/2, i%2
		want := 2 * (float64(x[2*r])*float64(x[c]) + float64(x[2*r+1])*float64(x[2+c]))
		if d := float64(y[i]) - want; d > 1e-5 || d < -1e-5 {
			t.Errorf("got %g, want %g", y[i], want)
		}
	}
}

// TestOperatorsUseOneThread: whatever another engine, or any other thread of the process, has set.
func TestOperatorsUseOneThread(t *testing.T) {
	a := open(t, Config{Workers: 1, Threads: 1})
	other := make(chan struct{})
	go func() {
		defer close(other)
		runtime.LockOSThread()
		setNumThreads(5)
	}()
	<-other
	b := open(t, Config{Workers: 1, Threads: 5})
	for _, e := range []*Engine{a, b, a} {
		for name, run := range map[string]func(context.Context, func(*Scope) error) error{"Do": e.Do,
			"Train": e.Train} {
			err := run(context.Background(), func(s *Scope) error {
				s.Tanh(s.Zeros(Float32, 1<<17)) // large enough for several threads
				if got := numThreads(); got != 1 {
					t.Errorf("%s: got %d threads, want 1", name, got)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	}
}
