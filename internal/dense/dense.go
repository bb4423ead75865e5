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
