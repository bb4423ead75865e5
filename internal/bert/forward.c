//go:build cgo && amd64

// The encoder's blocks, and the adapter's place in them. Letters as in the paper: f is the FFN's output, a the attention's, r = f + a.

#include "bert.h"
#include "tile.h"

enum {
	FFN_ROWS = 96,   // whose 4·d inner states stay in L2
	ATTEND_ROWS = 24 // whose scores stay in L1
};

static const float nothing[16]; // a bias

// add_norm is y = LN(x + z) for one token, z null for LN(x). y may be x or z.
INLINE void add_norm(const float *x, const float *z, int d, bert_norm n, float eps, float *y) {
	__m256 sum = _mm256_setzero_ps(), square = _mm256_setzero_ps();
	for (int i = 0; i < d; i += 8) {
		__m256 v = _mm256_loadu_ps(x + i);
		if (z) v = _mm256_add_ps(v, _mm256_loadu_ps(z + i));
		_mm256_storeu_ps(y + i, v);
		sum = _mm256_add_ps(sum, v);
	}
	__m256 mean = _mm256_set1_ps(sum8(sum) / d);
	for (int i = 0; i < d; i += 8) {
		__m256 v = _mm256_sub_ps(_mm256_loadu_ps(y + i), mean);
		square = _mm256_fmadd_ps(v, v, square);
	}
	__m256 by = _mm256_set1_ps(1 / root(sum8(square) / d + eps));
	for (int i = 0; i < d; i += 8) {
		__m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(y + i), mean), by);
		_mm256_storeu_ps(y + i, _mm256_fmadd_ps(v, _mm256_loadu_ps(n.weight + i), _mm256_loadu_ps(n.bias + i)));
	}
}

TARGET static void embed(const bert_model *m, const int32_t *ids, const int32_t *types, int n, float *x) {
	int d = m->hidden;
	for (int t = 0; t < n; t++, x += d) {
		const float *w = m->words + (size_t)ids[t] * d, *p = m->positions + (size_t)t * d, *k = m->types + (size_t)types[t] * d;
		for (int i = 0; i < d; i += 8)
			_mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_add_ps(_mm256_loadu_ps(w + i), _mm256_loadu_ps(k + i)), _mm256_loadu_ps(p + i)));
		add_norm(x, 0, d, m->embeddings, m->eps, x);
	}
}

// softmax of the first n of padded values, in place; the others become 0.
INLINE void softmax(float *s, int n, int padded) {
	for (int j = n; j < padded; j++) s[j] = -INFINITY;
	__m256 most = _mm256_loadu_ps(s);
	for (int j = 8; j < padded; j += 8) most = _mm256_max_ps(_mm256_loadu_ps(s + j), most);
	__m256 max = _mm256_set1_ps(max8(most)), sum = _mm256_setzero_ps();
	for (int j = 0; j < padded; j += 8) {
		__m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(s + j), max));
		_mm256_storeu_ps(s + j, e);
	}
	for (int j = n; j < padded; j++) s[j] = 0;
	for (int j = 0; j < padded; j += 8) sum = _mm256_add_ps(sum, _mm256_loadu_ps(s + j));
	__m256 by = _mm256_set1_ps(1 / sum8(sum));
	for (int j = 0; j < padded; j += 8) _mm256_storeu_ps(s + j, _mm256_mul_ps(_mm256_loadu_ps(s + j), by));
}

// attend is one text's attention: qkv [n,3d] to ctx [n,d]. scratch holds a head's keys or values, as panels, and the scores of ATTEND_ROWS tokens.
TARGET static void attend(const float *qkv, int n, int d, int heads, float *ctx, float *scratch) {
	int dh = d / heads, padded = (n + 15) / 16 * 16;
	float *keys = scratch, *values = keys + (size_t)padded * dh, *s = values + (size_t)n * dh, scale = 1 / root(dh);
	for (int h = 0; h < heads; h++) {
		const float *q = qkv + h * dh, *k = q + d, *v = k + d;
		for (int j = 0; j < padded; j++)
			for (int c = 0; c < dh; c++) keys[((j / 16) * dh + c) * 16 + j % 16] = j < n ? k[(size_t)j * 3 * d + c] * scale : 0;
		for (int c = 0; c < dh; c += 16)
			for (int j = 0; j < n; j++) {
				_mm256_storeu_ps(values + ((size_t)c * n + j * 16), _mm256_loadu_ps(v + (size_t)j * 3 * d + c));
				_mm256_storeu_ps(values + ((size_t)c * n + j * 16) + 8, _mm256_loadu_ps(v + (size_t)j * 3 * d + c + 8));
			}
		for (int i = 0; i < n; i += ATTEND_ROWS) {
			int rows = n - i < ATTEND_ROWS ? n - i : ATTEND_ROWS;
			for (int j = 0; j < padded; j += 16) panel(q + (size_t)i * 3 * d, rows, 3 * d, keys + (size_t)j * dh, dh, nothing, s + j, padded, 1, keys);
			for (int r = 0; r < rows; r++) softmax(s + (size_t)r * padded, n, padded);
			for (int c = 0; c < dh; c += 16) panel(s, rows, padded, values + (size_t)c * n, n, nothing, ctx + (size_t)i * d + h * dh + c, d, 1, values);
		}
	}
}

TARGET static void activate(float *x, size_t n, int act) {
	const __m256 half = _mm256_set1_ps(0.5f), zero = _mm256_setzero_ps(), one = _mm256_set1_ps(1);
	for (size_t i = 0; i < n; i += 8) {
		__m256 v = _mm256_loadu_ps(x + i), y;
		if (act == BERT_RELU) {
			y = _mm256_max_ps(zero, v);
		} else if (act == BERT_GELU_TANH) {
			__m256 cube = _mm256_mul_ps(_mm256_mul_ps(v, v), v);
			__m256 in = _mm256_mul_ps(_mm256_set1_ps(0.7978845608028654f), _mm256_fmadd_ps(_mm256_set1_ps(0.044715f), cube, v));
			y = _mm256_mul_ps(_mm256_mul_ps(half, v), _mm256_add_ps(one, tanh8(in)));
		} else {
			y = _mm256_mul_ps(_mm256_mul_ps(half, v), _mm256_add_ps(one, erf8(_mm256_mul_ps(v, _mm256_set1_ps(0.7071067811865476f)))));
		}
		_mm256_storeu_ps(x + i, y);
	}
}

// feed is f of n tokens of a. inner holds FFN_ROWS tokens' inner states.
static void feed(const bert_block *b, int act, const float *a, int n, float *f, float *inner) {
	int d = b->up.in, wide = b->up.out;
	for (int i = 0; i < n; i += FFN_ROWS) {
		int rows = n - i < FFN_ROWS ? n - i : FFN_ROWS;
		bert_linear_apply(&b->up, a + (size_t)i * d, rows, inner);
		activate(inner, (size_t)rows * wide, act);
		bert_linear_apply(&b->down, inner, rows, f + (size_t)i * d);
	}
}

// project is vecs × 8 outputs of some tokens: y = x w + bias with w [n,·] in rows ldw apart.
INLINE void project(const int tokens, const int vecs, const float *x, size_t ldx, const float *w, size_t ldw, int n, const float *bias, float *y, size_t ldy) {
	__m256 acc[4][3];
#pragma GCC unroll 4
	for (int t = 0; t < tokens; t++)
#pragma GCC unroll 3
		for (int v = 0; v < vecs; v++) acc[t][v] = bias ? _mm256_loadu_ps(bias + 8 * v) : _mm256_setzero_ps();
	for (int i = 0; i < n; i++) {
		__m256 wi[3];
#pragma GCC unroll 3
		for (int v = 0; v < vecs; v++) wi[v] = _mm256_loadu_ps(w + i * ldw + 8 * v);
#pragma GCC unroll 4
		for (int t = 0; t < tokens; t++) {
			__m256 a = _mm256_broadcast_ss(x + t * ldx + i);
#pragma GCC unroll 3
			for (int v = 0; v < vecs; v++) acc[t][v] = _mm256_fmadd_ps(a, wi[v], acc[t][v]);
		}
	}
#pragma GCC unroll 4
	for (int t = 0; t < tokens; t++)
#pragma GCC unroll 3
		for (int v = 0; v < vecs; v++) _mm256_storeu_ps(y + t * ldy + 8 * v, acc[t][v]);
}

// product is y = x w + bias of up to 4 tokens, w [n,out], as it lies in a folded adapter.
TARGET static void product(const float *x, int tokens, int n, const float *w, int out, const float *bias, float *y) {
	int c = 0;
#define PROJECT(vecs) \
	for (; c + 8 * vecs <= out; c += 8 * vecs) { \
		const float *at = bias ? bias + c : 0; \
		if (tokens == 4) project(4, vecs, x, n, w + c, out, n, at, y + c, out); \
		else for (int t = 0; t < tokens; t++) project(1, vecs, x + (size_t)t * n, n, w + c, out, n, at, y + (size_t)t * out + c, out); \
	}
	PROJECT(3)
	PROJECT(1)
	for (; c < out; c++)
		for (int t = 0; t < tokens; t++) {
			float sum = bias ? bias[c] : 0;
			for (int i = 0; i < n; i++) sum += x[(size_t)t * n + i] * w[(size_t)i * out + c];
			y[(size_t)t * out + c] = sum;
		}
}

// between is LN_b and the activation of one token's bottleneck, in place.
TARGET static void between(const bert_adapter *a, int l, float *z) {
	int b = a->bottleneck;
	if (a->norm_b) {
		float mean = 0, square = 0;
		for (int c = 0; c < b; c++) mean += z[c];
		mean /= b;
		for (int c = 0; c < b; c++) square += (z[c] - mean) * (z[c] - mean);
		float by = 1 / root(square / b + a->eps);
		const float *w = a->norm + (size_t)l * 2 * b;
		for (int c = 0; c < b; c++) z[c] = (z[c] - mean) * by * w[c] + w[b + c];
	}
	for (int c = 0; a->relu && c < b; c++) z[c] = z[c] < 0 ? 0 : z[c];
}

// adapt ends a block for one text: x = LN(B̂·act(LN_b(Â·LN(r))) + r), in place of r. scratch holds 4 tokens' h or u, and their bottlenecks.
TARGET static void adapt(const bert_model *m, const bert_block *blk, const bert_adapter *a, int l, float *r, int n, float *scratch) {
	int d = m->hidden;
	if (!a || l < 0) {
		for (int t = 0; t < n; t++) add_norm(r + (size_t)t * d, 0, d, blk->ffn, m->eps, r + (size_t)t * d);
		return;
	}
	int b = a->bottleneck;
	const float *down = a->down + (size_t)l * d * b, *up = a->up + (size_t)l * d * b;
	const float *down_bias = a->down_bias ? a->down_bias + (size_t)l * b : 0, *up_bias = a->up_bias ? a->up_bias + (size_t)l * d : 0;
	float *h = scratch, *z = scratch + (size_t)4 * d;
	for (int t = 0; t < n; t += 4, r += (size_t)4 * d) {
		int tokens = n - t < 4 ? n - t : 4;
		for (int i = 0; i < tokens; i++) add_norm(r + (size_t)i * d, 0, d, blk->ffn, m->eps, h + (size_t)i * d);
		product(h, tokens, d, down, b, down_bias, z);
		for (int i = 0; i < tokens; i++) between(a, l, z + (size_t)i * b);
		product(z, tokens, b, up, d, up_bias, h);
		for (int i = 0; i < tokens; i++) add_norm(h + (size_t)i * d, r + (size_t)i * d, d, blk->ffn, m->eps, r + (size_t)i * d);
	}
}

static size_t attend_scratch(const bert_model *m, int longest) {
	size_t padded = (longest + 15) / 16 * 16;
	return 2 * padded * (m->hidden / m->heads) + ATTEND_ROWS * padded;
}

size_t bert_scratch(const bert_model *m, int n, int longest, int b) {
	size_t d = m->hidden, inner = FFN_ROWS * (size_t)m->block[0].up.out, adapter = 4 * (d + b);
	return n * 5 * d + (inner > adapter ? inner : adapter) + attend_scratch(m, longest);
}

// Sums go in the order of the tokens, whatever texts are beside one.
TARGET void bert_mean(const float *x, const int32_t *lengths, int texts, int d, float *y, size_t ldy) {
	for (int i = 0; i < texts; i++, y += ldy) {
		for (int c = 0; c < d; c += 8) _mm256_storeu_ps(y + c, _mm256_loadu_ps(x + c));
		x += d;
		for (int t = 1; t < lengths[i]; t++, x += d)
			for (int c = 0; c < d; c += 8) _mm256_storeu_ps(y + c, _mm256_add_ps(_mm256_loadu_ps(y + c), _mm256_loadu_ps(x + c)));
		__m256 n = _mm256_set1_ps(lengths[i]);
		for (int c = 0; c < d; c += 8) _mm256_storeu_ps(y + c, _mm256_div_ps(_mm256_loadu_ps(y + c), n));
	}
}

// residual is f + a of one block, in place of its input x [n,d].
TARGET static void residual(const bert_model *m, const bert_block *b, const bert_batch *texts, int n, int longest, float *x, float *scratch) {
	int d = m->hidden;
	float *qkv = scratch, *ctx = qkv + (size_t)n * 3 * d, *a = ctx + (size_t)n * d, *small = a + (size_t)n * d, *inner = small + attend_scratch(m, longest);
	bert_linear_apply(&b->qkv, x, n, qkv);
	for (int i = 0, at = 0; i < texts->n; at += texts->lengths[i++]) attend(qkv + (size_t)at * 3 * d, texts->lengths[i], d, m->heads, ctx + (size_t)at * d, small);
	bert_linear_apply(&b->out, ctx, n, a);
	for (int t = 0; t < n; t++) add_norm(a + (size_t)t * d, x + (size_t)t * d, d, b->attention, m->eps, a + (size_t)t * d);
	feed(b, m->act, a, n, x, inner);
	for (size_t i = 0; i < (size_t)n * d; i += 8) _mm256_storeu_ps(x + i, _mm256_add_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(a + i)));
}

TARGET void bert_forward(const bert_model *m, const bert_batch *texts, const bert_adapter *adapters, int start, int stop,
	const int32_t *taps, int ntaps, float *x, float *pooled, float *scratch) {
	int d = m->hidden, n = 0, longest = 0;
	for (int i = 0; i < texts->n; i++) {
		int length = texts->lengths[i];
		if (start < 0) embed(m, texts->ids + n, texts->types + n, length, x + (size_t)n * d);
		longest = length > longest ? length : longest;
		n += length;
	}
	for (int l = start < 0 ? 0 : start, k = 0;; l++) {
		if (l != start) { // x is the states after l blocks
			if (k < ntaps && taps[k] == l) bert_mean(x, texts->lengths, texts->n, d, pooled + (size_t)k++ * d, (size_t)ntaps * d);
			if (l == m->blocks) return;
			residual(m, m->block + l, texts, n, longest, x, scratch);
			if (l == stop) return;
		}
		for (int i = 0, at = 0; i < texts->n; at += texts->lengths[i++]) {
			const bert_adapter *ad = texts->owners && texts->owners[i] >= 0 ? adapters + texts->owners[i] : 0;
			adapt(m, m->block + l, ad, ad ? l - (m->blocks - ad->blocks) : -1, x + (size_t)at * d, texts->lengths[i], scratch);
		}
	}
}
