//go:build torch && cgo

package libtorch

import (
	"context"
	"fmt"
	"testing"

	"github.com/sugarme/gotch/libtch"
)

// BenchmarkInt8 compares FBGEMM's product of float32 activations with int8 weights, which it
// quantizes on the way, with libtorch's in float32, for the shapes of MiniLM's layers. It is the
// measurement behind "Answers in whole numbers" in docs/decisions.md; both run on one thread:
//
//	go test -tags torch ./internal/engine/torch/libtorch -run '^$' -bench Int8 -count 10
func BenchmarkInt8(b *testing.B) {
	e, err := Open(Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	for _, rows := range []int64{40, 512} {
		for _, l := range [][2]int64{{384, 1152}, {384, 1536}, {1536, 384}} {
			in, out := l[0], l[1]
			for _, kind := range []string{"float32", "int8"} {
				b.Run(fmt.Sprintf("rows=%d/in=%d/out=%d/%s", rows, in, out, kind), func(b *testing.B) {
					err := e.Do(context.Background(), func(s *Scope) error {
						product := productOf(s, kind, rows, in, out)
						b.ResetTimer()
						for range b.N {
							s.Free(product())
						}
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(2*float64(rows*in*out)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOP/s")
				})
			}
		}
	}
}

func productOf(s *Scope, kind string, rows, in, out int64) func() Tensor {
	ramp := func(d []float32) {
		for i := range d {
			d[i] = float32(i%13)/6 - 1
		}
	}
	x, w, bias := s.FillFloat32s(ramp, rows, in), s.FillFloat32s(ramp, out, in), s.Zeros(Float32, out)
	if kind == "float32" {
		return func() Tensor { return s.Linear(x, w, bias) }
	}
	const int32s = 3
	q := s.Zeros(Int8, out, in)
	libtch.AtgFbgemmPackQuantizedMatrix(s.out(), q.c)
	packed := s.made("pack")
	libtch.AtgZeros(s.out(), []int64{out}, 1, int32s, s.engine.device)
	offsets := s.made("zeros")
	return func() Tensor {
		scale, zero := libtch.AtsFloat(0.01), libtch.AtsInt(0)
		defer libtch.AtsFree(scale)
		defer libtch.AtsFree(zero)
		libtch.AtgFbgemmLinearInt8WeightFp32Activation(s.out(), x.c, q.c, packed.c, offsets.c, scale, zero, bias.c)
		return s.made("int8 linear")
	}
}
