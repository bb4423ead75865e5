//go:build torch && cgo

package libtorch

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/sugarme/gotch/libtch"
)

// Config of an engine. The zero value is usable: every zero field means the default that it names.
type Config struct {
	Device  Device       // default CPU
	Workers int          // OS threads that run closures; default runtime.GOMAXPROCS(0), 2 at least
	Threads int          // threads that parts of closures run on, see Scope.Fork; default runtime.GOMAXPROCS(0)
	Logger  *slog.Logger // default: silence
}

func (c Config) withDefaults() Config {
	if c.Device == "" {
		c.Device = CPU
	}
	if c.Workers <= 0 {
		c.Workers = max(2, runtime.GOMAXPROCS(0))
	}
	if c.Threads <= 0 {
		c.Threads = runtime.GOMAXPROCS(0)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Engine runs closures on goroutines that are locked to their OS threads, because libtorch keeps
// its gradient mode, its last error and its number of threads by OS thread.
type Engine struct {
	config Config
	device int32 // libtch's code
	jobs   chan *job
	forks  chan *job // parts of a closure that waits for them: Scope.Fork
	live   atomic.Int64
	closed chan struct{}
	once   sync.Once
	done   sync.WaitGroup
	// Fork threads end after the closures that may wait for them.
	forked sync.WaitGroup
	idle   chan struct{}
}

type job struct {
	f     func(*Scope) error
	train bool
	err   error
	panic any // a panic that is not ours: raised again in the caller's goroutine
	done  chan struct{}
}

// Open starts an engine. It returns [ErrNoCUDA] for the device CUDA where there is none.
func Open(c Config) (*Engine, error) {
	c = c.withDefaults()
	if !haveSymbols() {
		return nil, errors.New("libtorch: the program was linked without libtch's symbols")
	}
	code, used, err := c.Device.resolve(c.Logger)
	if err != nil {
		return nil, err
	}
	c.Device = used
	e := &Engine{config: c, device: code, jobs: make(chan *job), forks: make(chan *job), closed: make(chan struct{}),
		idle: make(chan struct{})}
	e.done.Add(c.Workers)
	for range c.Workers {
		go e.work(e.jobs, e.closed, &e.done)
	}
	e.forked.Add(c.Threads)
	for range c.Threads {
		go e.work(e.forks, e.idle, &e.forked)
	}
	return e, nil
}

// Device is where the engine's tensors live: CPU or CUDA, never Auto.
func (e *Engine) Device() Device { return e.config.Device }

// Live is the number of libtorch handles that are not freed.
func (e *Engine) Live() int64 { return e.live.Load() }

// Close waits for running closures and ends the threads; callers that wait for a thread get
// [ErrClosed]. It is idempotent. Held tensors may still be freed afterwards. A closure that calls
// it waits for itself.
func (e *Engine) Close() error {
	e.once.Do(func() {
		close(e.closed)
		e.done.Wait()
		close(e.idle)
	})
	e.forked.Wait()
	return nil
}

// Do runs f on an engine thread, without gradients, and frees what its scope made. It waits for a
// free thread until ctx is done; a closure that runs is waited for. f's error, or the *Error of a
// failed operator, is returned; any other panic of f is raised again here. f must not call Do or
// Train of the same engine: with all threads busy, it would wait for itself.
func (e *Engine) Do(ctx context.Context, f func(*Scope) error) error { return e.run(ctx, f, false) }

// Train is [Engine.Do] with gradients on.
func (e *Engine) Train(ctx context.Context, f func(*Scope) error) error { return e.run(ctx, f, true) }

func (e *Engine) run(ctx context.Context, f func(*Scope) error, train bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{f: f, train: train, done: make(chan struct{})}
	select {
	case <-e.closed:
		return ErrClosed
	default:
	}
	select {
	case e.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.closed:
		return ErrClosed
	}
	<-j.done
	if j.panic != nil {
		panic(j.panic)
	}
	return j.err
}

// work is an engine thread: it runs jobs until closed.
func (e *Engine) work(jobs chan *job, closed chan struct{}, over *sync.WaitGroup) {
	ended := false
	defer func() {
		if ended {
			over.Done()
		} else {
			go e.work(jobs, closed, over) // a closure called runtime.Goexit: its thread is lost, another takes over
		}
	}()
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	setNumThreads(1)
	libtch.AtGradSetEnabled(0)
	s := newScope(e)
	for {
		select {
		case j := <-jobs:
			s.run(j)
		case <-closed:
			ended = true
			return
		}
	}
}
