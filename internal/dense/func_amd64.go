package dense

import "math"

// The kernels take 8·n values, n ≥ 1.
//
//go:noescape
func geluKernel(n int, x *float32)

//go:noescape
func geluTanhKernel(n int, x *float32)

//go:noescape
func softmaxKernel(n int, s *float32)

//go:noescape
func normKernel(n int, y, x, z, weight, bias *float32, eps float32, add bool)

// wide has the constants of func_amd64.s, 32 bytes each, at the offsets that it names.
//
//lint:ignore U1000 the assembly reads it
var wide = widen8(
	expMost, expLeast, math.Log2E, ln2High, ln2Low, math.Float32frombits(127),
	taylor[0], taylor[1], taylor[2], taylor[3], taylor[4], taylor[5], 1,
	erfP, erfA[0], erfA[1], erfA[2], erfA[3], erfA[4],
	math.Float32frombits(1<<31), math.Float32frombits(1<<31-1), 1/math.Sqrt2, 0.5, 2, 0.7978845608028654, 0.044715,
)

func widen8(values ...float32) (all [26][8]float32) {
	for i, v := range values {
		for j := range all[i] {
			all[i][j] = v
		}
	}
	return all
}
