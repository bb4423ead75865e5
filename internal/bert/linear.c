//go:build cgo && amd64

// Linear layers over packed weights. At most 384 inputs are taken at a time: so a panel stays in the L1 cache for all rows of a block, and a block of rows in L2 for all panels.

#include "bert.h"
#include "tile.h"

enum { BLOCK = 96, DEPTH = 384 };

int bert_supported(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

void bert_pack(const float *w, int out, int in, float *packed) {
	for (int j = 0; j < out; j += 16)
		for (int k = 0; k < in; k++)
			for (int c = 0; c < 16; c++) *packed++ = w[(size_t)(j + c) * in + k];
}

void bert_linear_apply(const bert_linear *l, const float *x, int n, float *y) {
	for (int i = 0; i < n; i += BLOCK) {
		int rows = n - i < BLOCK ? n - i : BLOCK;
		for (int k = 0; k < l->in; k += DEPTH) {
			int depth = l->in - k < DEPTH ? l->in - k : DEPTH;
			const float *w = l->w + (size_t)k * 16;
			for (int j = 0; j < l->out; j += 16, w += (size_t)l->in * 16)
				panel(x + (size_t)i * l->in + k, rows, l->in, w, depth, l->bias + j, y + (size_t)i * l->out + j, l->out, k == 0, w + (size_t)l->in * 16);
		}
	}
}
