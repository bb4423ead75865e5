package sdk

import (
	"errors"
	"iter"
	"sync"
)

// byRef loads what the store has under a ref once and keeps it. Who asks for the same ref meanwhile
// waits for it, who asks for another one does not. What cannot be loaded is tried again by who asks
// next.
type byRef[T any] struct {
	mu     sync.Mutex
	loaded map[uint32]*loading[T]
}

type loading[T any] struct {
	done  chan struct{} // closed when value and err are set
	value T
	err   error
}

// get returns what load has made of ref.
func (b *byRef[T]) get(ref uint32, load func(uint32) (T, error)) (T, error) {
	b.mu.Lock()
	l := b.loaded[ref]
	if l != nil {
		b.mu.Unlock()
		<-l.done
		return l.value, l.err
	}
	if b.loaded == nil {
		b.loaded = map[uint32]*loading[T]{}
	}
	l = &loading[T]{done: make(chan struct{}), err: errors.New("loading was broken off")} // by a panic
	b.loaded[ref] = l
	b.mu.Unlock()
	defer func() {
		if l.err != nil {
			b.mu.Lock()
			delete(b.loaded, ref)
			b.mu.Unlock()
		}
		close(l.done)
	}()
	l.value, l.err = load(ref)
	return l.value, l.err
}

// clear makes everything load anew.
func (b *byRef[T]) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loaded = nil
}

// all is what is kept. Nothing may be loading.
func (b *byRef[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, l := range b.loaded {
			if !yield(l.value) {
				return
			}
		}
	}
}
