//go:build torch && cgo

package libtorch

import (
	"errors"
	"runtime/debug"

	"github.com/sugarme/gotch/libtch"
)

// errGoexit is what a caller gets whose closure called runtime.Goexit: a test's FailNow does.
var errGoexit = errors.New("libtorch: the closure ended its goroutine")

// Scope owns the tensors that one closure makes. Its methods are the operators; they panic with
// *[Error].
type Scope struct {
	engine *Engine
	owned  []Tensor
	train  bool   // gradients are on
	serial uint64 // of the tensor made last
	// slot receives handles from C. It is an allocation of its own, or cgo's pointer check would
	// walk the scope.
	slot *[4]libtch.Ctensor
}

func newScope(e *Engine) *Scope { return &Scope{engine: e, slot: new([4]libtch.Ctensor)} }

// run runs one job and leaves nothing behind: no handle, no gradient mode, no pending exception.
func (s *Scope) run(j *job) {
	defer close(j.done)
	returned := false
	defer func() {
		switch r := recover().(type) {
		case nil:
			if !returned {
				j.err = errGoexit
			}
		case *Error:
			j.err = r
		default:
			j.panic = r // its stack is here, not where it is raised again
			s.engine.config.Logger.Error("a closure panicked", "panic", r, "stack", string(debug.Stack()))
		}
		s.freeFrom(0)
		lastError()
	}()
	s.train = j.train
	if j.train {
		libtch.AtGradSetEnabled(1)
		defer libtch.AtGradSetEnabled(0)
	}
	j.err = j.f(s)
	returned = true
}

// out is where the next operator puts its result.
func (s *Scope) out() *libtch.Ctensor {
	*s.slot = [4]libtch.Ctensor{}
	return &s.slot[0]
}

// made takes the operator's result out of the slot, or panics with its exception.
func (s *Scope) made(op string) Tensor { return s.own(op, s.slot[0]) }

func (s *Scope) own(op string, c libtch.Ctensor) Tensor {
	if c == nil {
		s.fail(op)
	}
	s.serial++
	t := Tensor{c, s.serial}
	s.owned = append(s.owned, t)
	s.engine.live.Add(1)
	return t
}

func (s *Scope) fail(op string) {
	msg := lastError()
	if msg == "" {
		msg = "no result"
	}
	panic(&Error{Op: op, Msg: firstLine(msg)})
}

// check panics if an operator that returns nothing failed.
func (s *Scope) check(op string) {
	if msg := lastError(); msg != "" {
		panic(&Error{Op: op, Msg: firstLine(msg)})
	}
}

func (s *Scope) freeFrom(mark int) {
	for i := len(s.owned) - 1; i >= mark; i-- {
		if c := s.owned[i].c; c != nil {
			libtch.AtFree(c)
			s.engine.live.Add(-1)
		}
	}
	clear(s.owned[mark:])
	s.owned = s.owned[:mark]
}

// Free frees tensors before the scope ends. A tensor that the scope does not own (a Held's, a freed
// one) is left alone.
func (s *Scope) Free(ts ...Tensor) {
	for _, t := range ts {
		if i := s.find(t); i >= 0 {
			libtch.AtFree(t.c)
			s.engine.live.Add(-1)
			s.owned[i] = Tensor{}
		}
	}
}

// find looks from the end: what is freed or kept was nearly always made last.
func (s *Scope) find(t Tensor) int {
	if t.c == nil {
		return -1
	}
	for i := len(s.owned) - 1; i >= 0; i-- {
		if s.owned[i] == t {
			return i
		}
	}
	return -1
}

// Block runs f and frees all that it made but its result: one block of a model, say. If f panics
// the scope's end frees it.
func (s *Scope) Block(f func() Tensor) Tensor {
	mark := len(s.owned)
	t := f()
	i := s.find(t)
	if i >= mark {
		s.owned[i] = Tensor{}
	}
	s.freeFrom(mark)
	if i >= mark {
		s.owned = append(s.owned, t)
	}
	return t
}

// Keep takes t out of the scope. Its owner frees it. Keep last: what is kept before an operator
// that fails is left to its owner.
func (s *Scope) Keep(t Tensor) *Held {
	i := s.find(t)
	if i < 0 {
		panic(&Error{Op: "keep", Msg: "the scope does not own this tensor"})
	}
	s.owned[i] = Tensor{}
	return &Held{Tensor: t, engine: s.engine}
}

// Held is a tensor that outlives its scope. A copy of its Tensor does not keep it alive.
type Held struct {
	Tensor
	engine *Engine
}

// Free frees the tensor. It is idempotent, safe on nil, and works after the engine was closed.
func (h *Held) Free() {
	if h == nil || h.c == nil {
		return
	}
	libtch.AtFree(h.c)
	h.engine.live.Add(-1)
	h.Tensor = Tensor{}
}
