//go:build cgo

package torch

import (
	"context"
	"errors"
	"testing"
)

func TestGather(t *testing.T) {
	e := open(t, Config{})
	do(t, e, func(s *Scope) {
		a := s.Float32s([]float32{1, 2, 3, 4, 5, 6}, 3, 1, 2)
		b := s.Float32s([]float32{10, 20, 30, 40, 50, 60}, 3, 1, 2)
		g := s.NewGather([]Tensor{a, {}, b}, []int{2, 0, 1, 2})
		for at, want := range [][]float32{{10, 20, 1, 2, 0, 0, 10, 20}, {30, 40, 3, 4, 0, 0, 30, 40}, {50, 60, 5, 6, 0, 0, 50, 60}} {
			for _, rows := range []func(int64) Tensor{g.Rows, g.byOperators} {
				got := rows(int64(at))
				wantValues(t, s, s.Reshape(got, 8), want...)
				if shape := s.Shape(got); len(shape) != 3 || shape[0] != 4 || shape[1] != 1 || shape[2] != 2 {
					t.Errorf("got %v, want [4 1 2]", shape)
				}
			}
		}
		scalars := s.NewGather([]Tensor{s.Float32s([]float32{7, 8}, 2)}, []int{0, 0})
		wantValues(t, s, scalars.Rows(1), 8, 8)
		wantValues(t, s, scalars.byOperators(1), 8, 8)
	})
}

func TestGatherRefuses(t *testing.T) {
	e := open(t, Config{})
	for name, f := range map[string]func(*Scope, Tensor){
		"no tensor":       func(s *Scope, a Tensor) { s.NewGather([]Tensor{{}}, []int{0}) },
		"nothing":         func(s *Scope, a Tensor) { s.NewGather(nil, nil) },
		"a scalar":        func(s *Scope, a Tensor) { s.NewGather([]Tensor{s.Float32s([]float32{1})}, []int{0}) },
		"two shapes":      func(s *Scope, a Tensor) { s.NewGather([]Tensor{a, s.Zeros(Float32, 2, 4)}, []int{0}) },
		"integers":        func(s *Scope, a Tensor) { s.NewGather([]Tensor{s.Int64s([]int64{1, 2}, 2)}, []int{0}) },
		"transposed":      func(s *Scope, a Tensor) { s.NewGather([]Tensor{s.Transpose(a, 0, 1)}, []int{0}) },
		"owner too large": func(s *Scope, a Tensor) { s.NewGather([]Tensor{a}, []int{1}) },
		"owner below 0":   func(s *Scope, a Tensor) { s.NewGather([]Tensor{a}, []int{-1}) },
		"entry too large": func(s *Scope, a Tensor) { s.NewGather([]Tensor{a}, []int{0}).Rows(2) },
		"entry below 0":   func(s *Scope, a Tensor) { s.NewGather([]Tensor{a}, []int{0}).Rows(-1) },
	} {
		err := e.Do(context.Background(), func(s *Scope) error {
			f(s, s.Zeros(Float32, 2, 3))
			return nil
		})
		var te *Error
		if !errors.As(err, &te) || te.Op != "gather" {
			t.Errorf("%s: got %v, want an *Error of gather", name, err)
		}
	}
}
