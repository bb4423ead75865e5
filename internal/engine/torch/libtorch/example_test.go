//go:build torch && cgo

package libtorch_test

import (
	"context"
	"fmt"
	"log"

	"github.com/xpeft/xpeft/internal/engine/torch/libtorch"
)

func ExampleEngine_Do() {
	e, err := libtorch.Open(libtorch.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	out := make([]float32, 4)
	err = e.Do(context.Background(), func(s *libtorch.Scope) error {
		x := s.Float32s([]float32{1, 2, 3, 4}, 2, 2)
		return s.ReadFloat32s(s.MatMul(x, x), out)
	})
	fmt.Println(out, err)

	err = e.Do(context.Background(), func(s *libtorch.Scope) error {
		x := s.Float32s(make([]float32, 6), 2, 3)
		s.MatMul(x, x)
		return nil
	})
	fmt.Println(err)
	fmt.Println("live:", e.Live())
	// Output:
	// [7 10 15 22] <nil>
	// libtorch: matmul: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)
	// live: 0
}

func ExampleEngine_Train() {
	e, err := libtorch.Open(libtorch.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	err = e.Train(context.Background(), func(s *libtorch.Scope) error {
		w := s.Param(s.Float32s([]float32{3}, 1))
		loss := s.SumDim(s.Mul(w, w), 0)
		fmt.Println(s.Values(s.Grad(loss, w)[0]))
		return nil
	})
	fmt.Println(err)
	// Output:
	// [6]
	// <nil>
}
