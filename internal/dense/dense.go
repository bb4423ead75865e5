// Package dense is the arithmetic of float32 slices that everything else is made of: products of
// matrices, averages of rows, and a BERT's functions. It is Go alone, with a few kernels in
// assembly for arm64 and for amd64 with AVX2 and FMA.
//
// A result's bits depend on its own operands and their number, not on the rows, columns or texts
// beside it. They may differ between processors in the last places, except those of [Mean] and
// [MeanHalf]. NaN and Inf go through as in a plain loop. Nothing here allocates or starts a
// goroutine.
package dense

import "fmt"

// Kernel says what multiplies: "avx2", "neon" or "go".
func Kernel() string {
	if fast {
		return kernel
	}
	return "go"
}

// check panics unless a matrix of rows × cols entries, strides apart, lies within n values.
func check(name string, n, rows, cols, rowStride, colStride int) {
	if rowStride < 0 || colStride < 0 || (rows-1)*rowStride+(cols-1)*colStride >= n {
		panic(fmt.Sprintf("dense: %s of %d × %d entries, %d and %d apart, in %d values", name, rows, cols, rowStride,
			colStride, n))
	}
}

// same panics unless both have as many values.
func same(n, m int) {
	if n != m {
		panic(fmt.Sprintf("dense: %d and %d values", n, m))
	}
}

// Dot is a·b; its bits depend on the values and their number alone.
func Dot(a, b []float32) float32 {
	same(len(a), len(b))
	if fast && len(a) > 0 {
		return dot(len(a), &a[0], &b[0])
	}
	var sum float32
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// Axpy is y += alpha·x.
func Axpy(y []float32, alpha float32, x []float32) {
	same(len(y), len(x))
	if fast && len(y) > 0 {
		axpy(len(y), &y[0], alpha, &x[0])
		return
	}
	for i, v := range x {
		y[i] += alpha * v
	}
}
