//go:build torch && cgo

package libtorch

import (
	"context"
	"errors"
	"testing"

	"github.com/sugarme/gotch/libtch"
)

// TestFork: parts run under other threads at once, see what the closure made, and hand over what
// they made; with one thread, or one part, they run where they are.
func TestFork(t *testing.T) {
	for _, c := range []Config{{Workers: 1, Threads: 2}, {Workers: 1, Threads: 1}, {Workers: 1, Threads: 4}} {
		e := open(t, c)
		for _, parts := range []int{1, 2, 5} {
			err := e.Train(context.Background(), func(s *Scope) error {
				x := s.Float32s([]float32{1, 2}, 2)
				got, err := s.Fork(parts, func(i int, p *Scope) ([]Tensor, error) {
					if n := numThreads(); n != 1 {
						t.Errorf("a part of %d: got %d threads, want 1", parts, n)
					}
					w := p.Param(p.Detach(x))
					y := p.Mul(p.Mul(w, w), p.Float32s([]float32{float32(i + 1)}, 1))
					return p.Grad(p.SumDim(y, 0), w), nil
				})
				if err != nil || len(got) != parts {
					t.Fatalf("got %d parts and %v, want %d", len(got), err, parts)
				}
				for i, ts := range got {
					wantValues(t, s, ts[0], 2*float32(i+1), 4*float32(i+1))
				}
				wantLive(t, s, "what the parts did not hand over is freed", int64(1+parts))
				if libtch.AtRequiresGrad(x.c) {
					t.Error("a mark on a detached view is on what it views")
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestForkRunsAtOnce: each of two parts waits for the other.
func TestForkRunsAtOnce(t *testing.T) {
	e := open(t, Config{Workers: 1, Threads: 2})
	if e.Device() != CPU {
		t.Skip("a GPU runs the parts one after another")
	}
	do(t, e, func(s *Scope) {
		meet := make(chan int)
		_, err := s.Fork(2, func(i int, p *Scope) ([]Tensor, error) {
			if gradsOn(p) {
				t.Error("gradients are on in a part of a Do")
			}
			if i == 0 {
				meet <- i
			} else {
				<-meet
			}
			return nil, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// TestForkFails: a part's error, failed operator or panic is the closure's, after all parts have
// ended, and nothing is left.
func TestForkFails(t *testing.T) {
	mine := errors.New("mine")
	for _, threads := range []int{1, 2} {
		e := open(t, Config{Workers: 1, Threads: threads})
		fork := func(fail func(*Scope) error) error {
			return e.Do(context.Background(), func(s *Scope) error {
				_, err := s.Fork(3, func(i int, p *Scope) ([]Tensor, error) {
					x := p.Zeros(Float32, 2)
					if i == 1 {
						return nil, fail(p)
					}
					return []Tensor{x}, nil
				})
				return err
			})
		}
		if err := fork(func(*Scope) error { return mine }); !errors.Is(err, mine) {
			t.Errorf("%d threads: got %v, want the part's error", threads, err)
		}
		var te *Error
		err := fork(func(p *Scope) error { p.Add(p.Zeros(Float32, 2), p.Zeros(Float32, 3)); return nil })
		if !errors.As(err, &te) || te.Op != "add" {
			t.Errorf("%d threads: got %v, want add's *Error", threads, err)
		}
		func() {
			defer func() {
				if r := recover(); r != "boom" {
					t.Errorf("%d threads: got a panic of %v, want the part's", threads, r)
				}
			}()
			_ = fork(func(*Scope) error { panic("boom") })
		}()
		if e.Live() != 0 {
			t.Errorf("%d threads: got %d live handles, want 0", threads, e.Live())
		}
	}
}
