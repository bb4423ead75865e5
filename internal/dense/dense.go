// Package dense is products of float32 matrices and vectors in slices.
//
// What a sum's terms are added up in the order of depends on their number alone: a row of a product has
// the same bits alone and among others. All functions are safe for concurrent use; none starts a goroutine.
package dense

import "math"

// Kernel is "avx2" or "go".
func Kernel() string { return "go" }

// Gemm is c [m,n] = a·b, or c += a·b with add. a's entry (i,k) is a[i*ars+k*acs]; b [k,n] has rows ldb
// apart, c rows ldc apart. An entry of c is summed in the order of k whatever m and n are.
func Gemm(m, n, k int, a []float32, ars, acs int, b []float32, ldb int, c []float32, ldc int, add bool) {
	for i := range m {
		row := c[i*ldc : i*ldc+n]
		if !add {
			clear(row)
		}
		for l := range k {
			Axpy(row, a[i*ars+l*acs], b[l*ldb:l*ldb+n])
		}
	}
}

// Dot is the sum of a[i]·b[i].
func Dot(a, b []float32) float32 {
	var sum float32
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// Axpy is y += alpha·x.
func Axpy(y []float32, alpha float32, x []float32) {
	for i, v := range x {
		y[i] += alpha * v
	}
}

// Mean averages the rows ids of table, each len(dst) long.
func Mean(dst, table []float32, ids []int32) {
	clear(dst)
	for _, id := range ids {
		row := table[int(id)*len(dst):][:len(dst)]
		for i, v := range row {
			dst[i] += v
		}
	}
	for i := range dst {
		dst[i] /= float32(len(ids))
	}
}

// MeanHalf is Mean of finite float16s.
func MeanHalf(dst []float32, table []uint16, ids []int32) {
	clear(dst)
	for _, id := range ids {
		row := table[int(id)*len(dst):][:len(dst)]
		for i, v := range row {
			dst[i] += widen(v)
		}
	}
	for i := range dst {
		dst[i] /= float32(len(ids))
	}
}

// widen puts a half's exponent and fraction where a float has them: there they are 2^112 times too small,
// exactly so for every finite half.
func widen(h uint16) float32 {
	v := math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112
	return math.Float32frombits(math.Float32bits(v) | uint32(h&0x8000)<<16)
}
