//go:build torch && cgo

package libtorch

import (
	"context"
	"errors"
	"testing"

	"github.com/sugarme/gotch/libtch"
)

// wantLive compares the number of handles that are not freed.
func wantLive(t *testing.T, s *Scope, what string, want int64) {
	t.Helper()
	if got := s.engine.Live(); got != want {
		t.Errorf("%s: got %d live handles, want %d", what, got, want)
	}
}

func wantValues(t *testing.T, s *Scope, x Tensor, want ...float32) {
	t.Helper()
	got := s.Values(x)
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range got {
		if d := got[i] - want[i]; !(d < 1e-5 && d > -1e-5) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestFree(t *testing.T) {
	e := open(t, Config{})
	do(t, e, func(s *Scope) {
		a, b := s.Zeros(Float32, 4), s.Zeros(Float32, 4)
		s.Free(a)
		wantLive(t, s, "one freed", 1)
		// The allocator gives new tensors the address that a had: a second Free must not take them.
		var later []Tensor
		for range 8 {
			later = append(later, s.Zeros(Float32, 4))
		}
		s.Free(a, a, Tensor{})
		wantLive(t, s, "freed twice", 9)
		s.Free(append(later, b, b)...)
		wantLive(t, s, "all freed", 0)
	})
}

// TestFreeOfAnotherScope: a tensor that outlived its closure is nobody's.
func TestFreeOfAnotherScope(t *testing.T) {
	e := open(t, Config{Workers: 1})
	var stale Tensor
	do(t, e, func(s *Scope) { stale = s.Zeros(Float32, 4) })
	do(t, e, func(s *Scope) {
		for range 8 {
			s.Zeros(Float32, 4)
		}
		s.Free(stale)
		wantLive(t, s, "a stale tensor freed", 8)
	})
	err := e.Do(context.Background(), func(s *Scope) error { s.Keep(stale); return nil })
	var te *Error
	if !errors.As(err, &te) || te.Op != "keep" {
		t.Errorf("keep: got %v, want an *Error of keep", err)
	}
}

func TestBlock(t *testing.T) {
	e := open(t, Config{})
	do(t, e, func(s *Scope) {
		a := s.Float32s([]float32{1, 2}, 2)
		y := s.Block(func() Tensor {
			x := s.Add(a, a)
			s.Zeros(Float32, 4)
			inner := s.Block(func() Tensor { return s.Mul(s.Add(x, a), a) })
			s.Free(x)
			return s.Add(inner, inner)
		})
		wantLive(t, s, "after a block", 2)
		wantValues(t, s, y, 6, 24)

		// Results that the block did not make: an older tensor, none at all.
		if got := s.Block(func() Tensor { s.Add(a, a); return a }); got != a {
			t.Error("got another tensor, want the older one")
		}
		if got := s.Block(func() Tensor { s.Add(a, a); return Tensor{} }); got != (Tensor{}) {
			t.Error("got a tensor, want none")
		}
		wantLive(t, s, "after blocks without a new result", 2)
		wantValues(t, s, a, 1, 2)
	})
}

func TestKeep(t *testing.T) {
	e := open(t, Config{})
	var h, kept *Held
	do(t, e, func(s *Scope) {
		h = s.Keep(s.Float32s([]float32{3, 4}, 2))
		s.Block(func() Tensor { kept = s.Keep(s.Add(h.Tensor, h.Tensor)); return s.Zeros(Float32, 4) })
		s.Free(h.Tensor) // the scope no longer owns it
		wantLive(t, s, "inside", 3)
	})
	do(t, e, func(s *Scope) {
		wantLive(t, s, "in the next closure", 2)
		wantValues(t, s, h.Tensor, 3, 4)
		wantValues(t, s, kept.Tensor, 6, 8)
	})
	h.Free()
	h.Free()
	if h.Defined() {
		t.Error("defined after Free")
	}
	(*Held)(nil).Free()
	e.Close()
	kept.Free() // works after Close
	if e.Live() != 0 {
		t.Errorf("got %d live handles, want 0", e.Live())
	}
}

// Zeros makes a tensor of zeros on the engine's device.
func (s *Scope) Zeros(kind DType, shape ...int64) Tensor {
	libtch.AtgZeros(s.out(), dims(shape), len(shape), int32(kind), s.engine.device)
	return s.made("zeros")
}
