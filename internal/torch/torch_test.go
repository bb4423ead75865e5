//go:build cgo

package torch

import (
	"context"
	"testing"
)

func TestMatMulGrad(t *testing.T) {
	e, err := Open(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	err = e.Train(context.Background(), func(s *Scope) error {
		w := s.Param(s.Float32s([]float32{1, 2, 3, 4}, 2, 2))
		x := s.Float32s([]float32{1, 1}, 1, 2)
		y := s.SumDim(s.MatMul(x, w), false, 0, 1)
		g := s.Grad(y, w)
		t.Log(s.Values(y), s.Values(g[0]), e.Live())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Live() != 0 {
		t.Errorf("got %d live handles, want 0", e.Live())
	}
	err = e.Do(context.Background(), func(s *Scope) error {
		s.MatMul(s.Zeros(Float32, 2, 3), s.Zeros(Float32, 2, 3))
		return nil
	})
	t.Log(err, e.Live())
}
