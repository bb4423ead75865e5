//go:build cgo

package torch

// Averages of rows of a large table: what a fold is. libtorch's embedding_bag adds one row after another into a sum as long as a row, for one bag after
// another. Here four rows are added at once, a piece of 4 KB of them at a time, so that the sum stays in the first cache, four streams of memory are
// under way, and bags that name the same rows find them in a cache.

/*
#cgo CFLAGS: -O3
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

// Half is a constant where it is called: one loop without it becomes two.
INLINE float get(const char *row, int64_t j, int half) {
	if (!half) return ((const float *)row)[j];
	// A half's exponent and fraction, put where a float has them, are 2^112 times too small: exact for every finite half.
	uint32_t h = ((const uint16_t *)row)[j];
	union { uint32_t bits; float value; } u = {(h & 0x7fff) << 13};
	u.value *= 0x1p112f;
	u.bits |= (h & 0x8000) << 16;
	return u.value;
}

INLINE void mean(float **dst, const char *table, int half, int64_t width, const int32_t *ids, const int32_t *ends, int bags) {
	const int64_t piece = 1024, size = half ? 2 : 4, row = width * size;
	for (int64_t from = 0; from < width; from += piece) {
		int64_t n = width - from < piece ? width - from : piece;
		const char *t = table + from * size;
		for (int bag = 0, i = 0; bag < bags; bag++) {
			float *restrict sum = dst[bag] + from;
			float k = ends[bag] - i;
			memset(sum, 0, n * sizeof *sum);
			for (; i + 4 <= ends[bag]; i += 4) {
				const char *a = t + ids[i] * row, *b = t + ids[i + 1] * row, *c = t + ids[i + 2] * row, *d = t + ids[i + 3] * row;
				for (int64_t j = 0; j < n; j++) sum[j] += (get(a, j, half) + get(b, j, half)) + (get(c, j, half) + get(d, j, half));
			}
			for (; i < ends[bag]; i++) {
				const char *a = t + ids[i] * row;
				for (int64_t j = 0; j < n; j++) sum[j] += get(a, j, half);
			}
			for (int64_t j = 0; j < n; j++) sum[j] /= k;
		}
	}
}

INLINE void mean_of(float **dst, const void *table, int half, int64_t width, const int32_t *ids, const int32_t *ends, int bags) {
	if (half) mean(dst, table, 1, width, ids, ends, bags);
	else mean(dst, table, 0, width, ids, ends, bags);
}

#ifdef __x86_64__
// The order of the sums is the same as without AVX2, and so are the bits: nothing here can be fused.
__attribute__((target("avx2")))
static void mean_avx2(float **dst, const void *table, int half, int64_t width, const int32_t *ids, const int32_t *ends, int bags) {
	mean_of(dst, table, half, width, ids, ends, bags);
}
#endif

static void mean_rows(float **dst, const void *table, int half, int64_t width, const int32_t *ids, const int32_t *ends, int bags) {
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2")) {
		mean_avx2(dst, table, half, width, ids, ends, bags);
		return;
	}
#endif
	mean_of(dst, table, half, width, ids, ends, bags);
}
*/
import "C"

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/sugarme/gotch/libtch"
)

// MeanRows averages rows of table [n,x], of float32s or finite float16s: bag i takes the rows ids[ends[i-1]:ends[i]], one at least; [bags,x] in float32.
// It reads the rows that are named and no others. On a CPU a bag's bits do not depend on the bags beside it.
func (s *Scope) MeanRows(table Tensor, ids, ends []int32) Tensor {
	width := s.checkBags(table, ids, ends)
	if s.engine.device != codeCPU {
		return s.meanByOperators(table, ids, ends)
	}
	out := s.empty(Float32, codeCPU, []int64{int64(len(ends)), width})
	sums := make([]unsafe.Pointer, len(ends))
	for i := range sums {
		sums[i] = unsafe.Add(libtch.AtDataPtr(out.c), int64(i)*width*4)
	}
	s.mean(sums, table, width, ids, ends)
	return out
}

// MeanRowsInto is MeanRows with a place for each bag: bag i becomes entry at of dst[i], which is [m,…] in float32, contiguous, with x values an entry.
func (s *Scope) MeanRowsInto(dst []Tensor, at int64, table Tensor, ids, ends []int32) {
	width := s.checkBags(table, ids, ends)
	if len(dst) != len(ends) {
		panic(badBags("%d places for %d bags", len(dst), len(ends)))
	}
	for _, d := range dst {
		if shape := s.Shape(d); len(shape) < 2 || at < 0 || at >= shape[0] || product(shape[1:]) != width || !s.plain(d, Float32) {
			panic(badBags("entry %d of %v for %d values", at, shape, width))
		}
	}
	if s.engine.device != codeCPU {
		s.intoByOperators(dst, at, table, ids, ends)
		return
	}
	sums := make([]unsafe.Pointer, len(ends))
	for i, d := range dst {
		sums[i] = unsafe.Add(libtch.AtDataPtr(d.c), at*width*4)
	}
	s.mean(sums, table, width, ids, ends)
}

// checkBags keeps C in bounds, and a GPU too, where a bad index ends the process.
func (s *Scope) checkBags(table Tensor, ids, ends []int32) (width int64) {
	shape := s.Shape(table)
	if len(shape) != 2 || !s.plain(table, Float32, Float16) {
		panic(badBags("a table of %v", shape))
	}
	last := int32(0)
	for _, end := range ends {
		if end <= last {
			panic(badBags("a bag of the ids %d to %d", last, end))
		}
		last = end
	}
	if len(ends) == 0 || int(last) != len(ids) {
		panic(badBags("%d bags that end at %d of %d ids", len(ends), last, len(ids)))
	}
	for _, id := range ids {
		if id < 0 || int64(id) >= shape[0] {
			panic(badBags("row %d of %d", id, shape[0]))
		}
	}
	return shape[1]
}

// Bags are the ends of bags of one size, which n ids fill.
func Bags(n, bags int) (ends []int32) {
	ends = make([]int32, bags)
	for i := range ends {
		ends[i] = int32((i + 1) * n / bags)
	}
	return ends
}

func badBags(format string, args ...any) *Error {
	return &Error{Op: "mean rows", Msg: fmt.Sprintf(format, args...)}
}

// plain says whether t is contiguous and of one of the kinds.
func (s *Scope) plain(t Tensor, kinds ...DType) bool {
	kind := DType(libtch.AtScalarType(t.c))
	ok := libtch.AtIsContiguous(t.c) && slices.Contains(kinds, kind)
	s.check("mean rows")
	return ok
}

// mean leaves each bag's at its address.
func (s *Scope) mean(sums []unsafe.Pointer, table Tensor, width int64, ids, ends []int32) {
	half := C.int(0)
	if DType(libtch.AtScalarType(table.c)) == Float16 {
		half = 1
	}
	C.mean_rows((**C.float)(unsafe.Pointer(&sums[0])), libtch.AtDataPtr(table.c), half, C.int64_t(width), (*C.int32_t)(&ids[0]), (*C.int32_t)(&ends[0]), C.int(len(ends)))
}

// meanByOperators is MeanRows for every device.
func (s *Scope) meanByOperators(table Tensor, ids, ends []int32) Tensor {
	return s.Block(func() Tensor {
		index, offsets := make([]int64, len(ids)), make([]int64, len(ends))
		for i, id := range ids {
			index[i] = int64(id)
		}
		for i, end := range ends[:len(ends)-1] {
			offsets[i+1] = int64(end)
		}
		at := s.Int64s(index, int64(len(index)))
		if DType(libtch.AtScalarType(table.c)) == Float16 { // a bag's mean would be rounded: widen the rows first
			table = s.ToFloat32(s.IndexSelect(table, 0, at))
			for i := range index {
				index[i] = int64(i)
			}
			at = s.Int64s(index, int64(len(index)))
		}
		const mean = 1
		return s.embeddingBag(table, at, s.Int64s(offsets, int64(len(offsets))), mean)
	})
}

func (s *Scope) intoByOperators(dst []Tensor, at int64, table Tensor, ids, ends []int32) {
	means := s.meanByOperators(table, ids, ends)
	for i, d := range dst {
		place := s.Select(d, 0, at)
		libtch.AtCopy_(place.c, s.View(s.Select(means, 0, int64(i)), s.Shape(place)...).c)
		s.check("mean rows")
	}
}
