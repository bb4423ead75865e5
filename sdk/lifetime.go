package sdk

import (
	"cmp"
	"context"
	"fmt"
	"sync"
)

// lifetime lets calls in until the end begins, and lets the end happen when the last call has left.
type lifetime struct {
	mu    sync.Mutex
	ended bool
	calls sync.WaitGroup
	once  sync.Once
	err   error
}

// enter admits a call, or returns ErrClosed, or the first of what was found wrong with it. leave
// must be called.
func (l *lifetime) enter(faults ...error) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, ErrClosed
	}
	if err := cmp.Or(faults...); err != nil {
		return nil, err
	}
	l.calls.Add(1)
	return l.calls.Done, nil
}

// end runs f once, after the last call; every caller waits for it and gets its error.
func (l *lifetime) end(f func() error) error {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.once.Do(func() {
		l.calls.Wait()
		l.err = f()
	})
	return l.err
}

// keyLock is a lock for each key in use.
type keyLock struct {
	mu    sync.Mutex
	locks map[string]*keyed
}

type keyed struct {
	turn  chan struct{} // holds a token while locked
	users int
	alive context.Context // until interrupt; nil: nobody asked
	end   context.CancelFunc
}

// errForgotten is what interrupt ends a Learn with.
var errForgotten = fmt.Errorf("%w: the profile was forgotten", ErrConflict)

// until is ctx, which interrupt ends too, with errForgotten as its cause. leave must be called.
func (k *keyLock) until(ctx context.Context, key string) (out context.Context, leave func()) {
	l := k.join(key)
	k.mu.Lock()
	if l.alive == nil {
		l.alive, l.end = context.WithCancel(context.Background())
	}
	alive := l.alive
	k.mu.Unlock()
	out, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(alive, func() { cancel(errForgotten) })
	return out, func() { stop(); cancel(nil); k.leave(key, l) }
}

// interrupt ends what has come so far from until, of a key.
func (k *keyLock) interrupt(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.locks[key]; l != nil {
		l.over()
	}
}

// over ends what has come so far from until; k.mu is held.
func (l *keyed) over() {
	if l.alive != nil {
		l.end()
		l.alive, l.end = nil, nil
	}
}

// lock waits for key until done closes; ok says whether it was got. unlock must be called then.
func (k *keyLock) lock(key string, done <-chan struct{}) (unlock func(), ok bool) {
	l := k.join(key)
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; k.leave(key, l) }, true
	case <-done:
		k.leave(key, l)
		return nil, false
	}
}

// try is lock without waiting.
func (k *keyLock) try(key string) (unlock func(), ok bool) {
	l := k.join(key)
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; k.leave(key, l) }, true
	default:
		k.leave(key, l)
		return nil, false
	}
}

func (k *keyLock) join(key string) *keyed {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locks == nil {
		k.locks = make(map[string]*keyed)
	}
	l := k.locks[key]
	if l == nil {
		l = &keyed{turn: make(chan struct{}, 1)}
		k.locks[key] = l
	}
	l.users++
	return l
}

func (k *keyLock) leave(key string, l *keyed) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		l.over()
		delete(k.locks, key)
	}
}
