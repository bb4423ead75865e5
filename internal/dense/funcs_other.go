//go:build !amd64

package dense

// Averages and a BERT's functions have kernels for amd64 alone.
const fastFuncs = false

func add4(sum, a, b, c, d []float32) { add4Go(sum, a, b, c, d) }

func add1(sum, a []float32) { add1Go(sum, a) }

func add4Half(sum []float32, a, b, c, d []uint16) { add4HalfGo(sum, a, b, c, d) }

func add1Half(sum []float32, a []uint16) { add1HalfGo(sum, a) }

func geluKernel(n int, x *float32) { panic("dense: no kernels") }

func geluTanhKernel(n int, x *float32) { panic("dense: no kernels") }

func softmaxKernel(n int, s *float32) { panic("dense: no kernels") }

func normKernel(n int, y, x, z, weight, bias *float32, eps float32, add bool) {
	panic("dense: no kernels")
}
