// The micro-kernel of every product: rows × 16 outputs from a panel of weights, which holds 16 weights for each input.
//
// A tile of up to 6 rows is summed in 12 registers. The order in which an output is summed depends on nothing but the number of inputs, so a row's result is the
// same to the bit whatever rows are beside it.

#ifndef XPEFT_TILE_H
#define XPEFT_TILE_H

#include "simd.h"

// tile adds n inputs to rows × 16 outputs, or begins them from the bias. Meanwhile it fetches lines cache lines from next into L2: with few rows to a panel, waiting for the
// weights would take a third of the time.
INLINE void tile(const int rows, const float *x, size_t ldx, const float *w, int n, const float *bias, float *y, size_t ldy, int first, const float *next, int lines) {
	__m256 acc[6][2];
#pragma GCC unroll 6
	for (int r = 0; r < rows; r++) {
		const float *from = first ? bias : y + r * ldy;
		acc[r][0] = _mm256_loadu_ps(from);
		acc[r][1] = _mm256_loadu_ps(from + 8);
	}
	int chunk = (lines * 8 + n - 1) / n;
	for (int k = 0; k < n; k++) {
		if (k % 8 == 0)
			for (int i = 0; i < chunk; i++, next += 16) _mm_prefetch((const char *)next, _MM_HINT_T1);
		__m256 w0 = _mm256_loadu_ps(w + (size_t)k * 16), w1 = _mm256_loadu_ps(w + (size_t)k * 16 + 8);
#pragma GCC unroll 6
		for (int r = 0; r < rows; r++) {
			__m256 a = _mm256_broadcast_ss(x + r * ldx + k);
			acc[r][0] = _mm256_fmadd_ps(a, w0, acc[r][0]);
			acc[r][1] = _mm256_fmadd_ps(a, w1, acc[r][1]);
		}
	}
#pragma GCC unroll 6
	for (int r = 0; r < rows; r++) {
		_mm256_storeu_ps(y + r * ldy, acc[r][0]);
		_mm256_storeu_ps(y + r * ldy + 8, acc[r][1]);
	}
}

// panel is 16 outputs of some rows; next is where the panel after it lies.
TARGET static inline void panel(const float *x, int rows, size_t ldx, const float *w, int n, const float *bias, float *y, size_t ldy, int first, const float *next) {
	int lines = n / ((rows + 5) / 6), at = 0;
	for (; rows >= 6; rows -= 6, x += 6 * ldx, y += 6 * ldy, at += lines) tile(6, x, ldx, w, n, bias, y, ldy, first, next + (size_t)at * 16, lines);
	next += (size_t)at * 16;
	switch (rows) {
	case 5: tile(5, x, ldx, w, n, bias, y, ldy, first, next, lines); break;
	case 4: tile(4, x, ldx, w, n, bias, y, ldy, first, next, lines); break;
	case 3: tile(3, x, ldx, w, n, bias, y, ldy, first, next, lines); break;
	case 2: tile(2, x, ldx, w, n, bias, y, ldy, first, next, lines); break;
	case 1: tile(1, x, ldx, w, n, bias, y, ldy, first, next, lines); break;
	}
}

#endif
