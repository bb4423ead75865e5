//go:build cgo && amd64

// The encoder's blocks, and the adapter's place in them. Letters as in the paper: f is the FFN's output, a the attention's, r = f + a.
//
// Each path includes this file after its vectors, under its name.
#ifdef PATH

#include <time.h>

#include "bert.h"
#include "functions.h"
#include "tile.h"

enum {
	FFN_ROWS = BLOCK,       // whose 4·d inner states stay in L2
	ATTEND_ROWS = 4 * ROWS, // whose scores stay in L1
};

static const float nothing[PANEL]; // a bias

// whole_vectors is n, rounded up to them.
INLINE size_t whole_vectors(size_t n) { return (n + LANES - 1) / LANES * LANES; }

// row_bytes is how many bytes a row of a layer's inputs takes, or an output's weights, in a precision
// below float32.
INLINE size_t row_bytes(int precision, size_t in) { return ((precision == BERT_INT8 ? in : 2 * in) + 63) / 64 * 64; }

#ifdef INTS
#include "ints.h"
#else
#define quantize8(l, x, rows, memory)
#define quantize16(l, x, rows, memory)
#define panels8(l, rows, y, memory, from, to) (void)0
#define panels16(l, rows, y, memory, from, to)
#define peak_ints(bits, times) 0
#endif

#ifdef TILES
#include "tiles.h"
#else
#define shorten(l, x, rows, memory)
#define panels_tiles8(l, rows, y, memory, from, to) (void)0
#define panels_tiles16(l, rows, y, memory, from, to)
#endif

#ifndef INTS_IN_TILES
#define INTS_IN_TILES 0
#define peak_tiles(precision, times) 0
#endif

// inputs makes at most BLOCK tokens' inputs of a layer what its precision takes.
static void inputs(const bert_linear *l, const float *x, int rows, float *memory) {
	switch (l->precision) {
	case BERT_INT8: quantize8(l, x, rows, memory); break;
	case BERT_INT16: quantize16(l, x, rows, memory); break;
	case BERT_BFLOAT16: shorten(l, x, rows, memory); break;
	}
}

// outputs is panels from to to (less one) of their outputs.
static void outputs(const bert_linear *l, const float *x, int rows, float *y, float *memory, int from, int to) {
	switch (l->precision) {
	case BERT_FLOAT32: linear(l, x, rows, y, from, to); break;
	case BERT_INT16: panels16(l, rows, y, memory, from, to); break;
	case BERT_BFLOAT16: panels_tiles16(l, rows, y, memory, from, to); break;
	case BERT_INT8:
		if (INTS_IN_TILES) panels_tiles8(l, rows, y, memory, from, to);
		else panels8(l, rows, y, memory, from, to);
	}
}

static void whole_layer(const bert_linear *l, const float *x, int n, float *y, float *memory) {
	for (int i = 0; i < n; i += BLOCK) {
		int rows = n - i < BLOCK ? n - i : BLOCK;
		inputs(l, x + (size_t)i * l->in, rows, memory);
		outputs(l, x + (size_t)i * l->in, rows, y + (size_t)i * l->out, memory, 0, panels(l));
	}
}

static int64_t now(void) {
#ifdef __linux__
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
#else
	return 0;
#endif
}

// lap ends a part of the pass, where they are counted.
static void lap(bert_parts *p, int part) {
	if (!p) return;
	int64_t end = now();
	p->took[part] += end - p->last;
	p->last = end;
}

// add_norm is y = LN(x + z) for one token, z null for LN(x). y may be x or z.
INLINE void add_norm(const float *x, const float *z, int d, const float *weight, const float *bias, float eps, float *y) {
	vec total = all(0), square = all(0);
	for (int i = 0; i < d; i += LANES) {
		vec v = get(x + i, d - i);
		if (z) v = add(v, get(z + i, d - i));
		put(y + i, d - i, v);
		total = add(total, v);
	}
	vec mean = all(sum(total) / d);
	for (int i = 0; i < d; i += LANES) {
		vec v = sub(get(y + i, d - i), mean);
		if (d - i < LANES) v = keep(v, d - i);
		square = madd(v, v, square);
	}
	vec by = all(1 / root(sum(square) / d + eps));
	for (int i = 0; i < d; i += LANES) {
		vec v = mul(sub(get(y + i, d - i), mean), by);
		put(y + i, d - i, madd(v, get(weight + i, d - i), get(bias + i, d - i)));
	}
}

TARGET static void norm(const float *x, const float *z, int d, bert_norm n, float eps, float *y) { add_norm(x, z, d, n.weight, n.bias, eps, y); }

TARGET static void embed(const bert_model *m, const int32_t *ids, const int32_t *types, int n, float *x) {
	int d = m->hidden;
	for (int t = 0; t < n; t++, x += d) {
		const float *w = m->words + (size_t)ids[t] * d, *p = m->positions + (size_t)t * d, *k = m->types + (size_t)types[t] * d;
		for (int i = 0; i < d; i += LANES) put(x + i, d - i, add(add(get(w + i, d - i), get(k + i, d - i)), get(p + i, d - i)));
		norm(x, 0, d, m->embeddings, m->eps, x);
	}
}

// softmax of the first n of padded values, in place; the others become 0.
INLINE void softmax(float *s, int n, int padded) {
	for (int j = n; j < padded; j++) s[j] = -INFINITY;
	vec most_of = load(s), total = all(0);
	for (int j = LANES; j < padded; j += LANES) most_of = most(load(s + j), most_of);
	vec max = all(largest(most_of));
	for (int j = 0; j < padded; j += LANES) store(s + j, exponential(sub(load(s + j), max)));
	for (int j = n; j < padded; j++) s[j] = 0;
	for (int j = 0; j < padded; j += LANES) total = add(total, load(s + j));
	vec by = all(1 / sum(total));
	for (int j = 0; j < padded; j += LANES) store(s + j, mul(load(s + j), by));
}

// keys lays a head's keys k, in rows ld apart and scaled, into panels of tokens.
TARGET static void keys(const float *k, size_t ld, int n, int dh, float scale, float *panels) {
	for (int j = 0; j < n; j += PANEL, panels += (size_t)PANEL * dh)
		for (int t = 0; t < PANEL; t++)
			for (int c = 0; c < dh; c++) panels[c * PANEL + t] = j + t < n ? k[(j + t) * ld + c] * scale : 0;
}

// values lays a head's values v into panels of columns.
TARGET static void values(const float *v, size_t ld, int n, int dh, float *panels) {
	for (int c = 0; c < dh; c += PANEL)
		for (int j = 0; j < n; j++, panels += PANEL)
			for (int i = 0; i < PANEL; i += LANES) store(panels + i, c + i < dh ? get(v + j * ld + c + i, dh - c - i) : all(0));
}

// attend is some heads' attention of one text: qkv [n,3d] to ctx [n,d]. scratch holds a head's keys and values, as panels, and the scores of ATTEND_ROWS tokens.
TARGET static void attend(const float *qkv, int n, int d, int dh, int from, int to, float *ctx, float *scratch) {
	int padded = whole_vectors(n);
	size_t ld = 3 * d;
	float *k = scratch, *v = k + (size_t)(n + PANEL - 1) / PANEL * PANEL * dh, *s = v + (size_t)(dh + PANEL - 1) / PANEL * PANEL * n, scale = 1 / root(dh);
	for (int h = from; h < to; h++) {
		const float *q = qkv + h * dh;
		keys(q + d, ld, n, dh, scale, k);
		values(q + 2 * d, ld, n, dh, v);
		for (int i = 0; i < n; i += ATTEND_ROWS) {
			int rows = n - i < ATTEND_ROWS ? n - i : ATTEND_ROWS;
			for (int j = 0; j < padded; j += PANEL) {
				int cols = padded - j < PANEL ? padded - j : PANEL;
				panel(q + i * ld, rows, ld, k + (size_t)j * dh, dh, nothing, s + j, padded, cols, 1, k);
			}
			for (int r = 0; r < rows; r++) softmax(s + (size_t)r * padded, n, padded);
			for (int c = 0; c < dh; c += PANEL) {
				int cols = dh - c < PANEL ? dh - c : PANEL;
				panel(s, rows, padded, v + (size_t)c * n, n, nothing, ctx + (size_t)i * d + h * dh + c, d, cols, 1, v);
			}
		}
	}
}

INLINE vec activated(vec v, int act) {
	if (act == BERT_RELU) return most(all(0), v);
	vec half = mul(all(0.5f), v);
	if (act == BERT_GELU) return mul(half, add(all(1), error(mul(v, all(0.7071067811865476f)))));
	vec cube = mul(mul(v, v), v);
	return mul(half, add(all(1), tangent(mul(all(0.7978845608028654f), madd(all(0.044715f), cube, v)))));
}

TARGET static void activate(float *x, size_t n, int act) {
	size_t i = 0;
	for (; i + LANES <= n; i += LANES) store(x + i, activated(load(x + i), act));
	if (i < n) store_part(x + i, n - i, activated(load_part(x + i, n - i), act));
}

// project is vecs vectors of outputs, of which there may be less left, of some tokens: y = x w + bias, or y += x w, with w [n,·] in rows ldw apart.
INLINE void project(const int tokens, const int vecs, int left, const float *x, size_t ldx, const float *w, size_t ldw, int n, const float *bias, float *y, size_t ldy, int more) {
	vec acc[4][3];
	UNROLL
	for (int t = 0; t < tokens; t++)
		UNROLL
		for (int v = 0; v < vecs; v++) {
			const float *from = more ? y + t * ldy : bias;
			acc[t][v] = from ? get(from + v * LANES, left - v * LANES) : all(0);
		}
	for (int i = 0; i < n; i++) {
		vec wi[3];
		UNROLL
		for (int v = 0; v < vecs; v++) wi[v] = get(w + i * ldw + v * LANES, left - v * LANES);
		UNROLL
		for (int t = 0; t < tokens; t++) {
			vec a = all(x[t * ldx + i]);
			UNROLL
			for (int v = 0; v < vecs; v++) acc[t][v] = madd(a, wi[v], acc[t][v]);
		}
	}
	UNROLL
	for (int t = 0; t < tokens; t++)
		UNROLL
		for (int v = 0; v < vecs; v++) put(y + t * ldy + v * LANES, left - v * LANES, acc[t][v]);
}

// product is y = x w + bias, or y += x w, of up to 4 tokens, w [n,out], as it lies in a folded adapter. Rows of x and y are ldx and ldy apart.
TARGET static void product(const float *x, size_t ldx, int tokens, int n, const float *w, int out, const float *bias, float *y, size_t ldy, int more) {
	for (int c = 0; c < out; c += 3 * LANES) {
		const float *at = bias ? bias + c : 0;
		int left = out - c;
#define PROJECT(vecs) \
	if (tokens == 4) project(4, vecs, left, x, ldx, w + c, out, n, at, y + c, ldy, more); \
	else for (int t = 0; t < tokens; t++) project(1, vecs, left, x + t * ldx, ldx, w + c, out, n, at, y + t * ldy + c, ldy, more);
		if (left > 2 * LANES) {
			PROJECT(3)
		} else if (left > LANES) {
			PROJECT(2)
		} else {
			PROJECT(1)
		}
	}
}

// between is LN_b and the activation of one token's bottleneck, in place.
TARGET static void between(const bert_adapter *a, int l, float *z) {
	int b = a->bottleneck;
	const float *w = a->norm + (size_t)l * 2 * b;
	if (a->norm_b) add_norm(z, 0, b, w, w + b, a->eps, z);
	if (a->relu) activate(z, b, BERT_RELU);
}

// adapt ends a block for one text: x = LN(B̂·act(LN_b(Â·LN(r))) + r), in place of r. scratch holds 4 tokens' h or u, and their bottlenecks.
TARGET static void adapt(const bert_model *m, const bert_block *blk, const bert_adapter *a, int l, float *r, int n, float *scratch) {
	int d = m->hidden;
	if (!a || a->targets || l < 0) {
		for (int t = 0; t < n; t++) norm(r + (size_t)t * d, 0, d, blk->ffn, m->eps, r + (size_t)t * d);
		return;
	}
	int b = a->bottleneck;
	const float *down = a->down + (size_t)l * d * b, *up = a->up + (size_t)l * d * b;
	const float *down_bias = a->down_bias ? a->down_bias + (size_t)l * b : 0, *up_bias = a->up_bias ? a->up_bias + (size_t)l * d : 0;
	float *h = scratch, *z = scratch + (size_t)4 * d;
	for (int t = 0; t < n; t += 4, r += (size_t)4 * d) {
		int tokens = n - t < 4 ? n - t : 4;
		for (int i = 0; i < tokens; i++) norm(r + (size_t)i * d, 0, d, blk->ffn, m->eps, h + (size_t)i * d);
		product(h, d, tokens, d, down, b, down_bias, z, b, 0);
		for (int i = 0; i < tokens; i++) between(a, l, z + (size_t)i * b);
		product(z, b, tokens, b, up, d, up_bias, h, d, 0);
		for (int i = 0; i < tokens; i++) norm(h + (size_t)i * d, r + (size_t)i * d, d, blk->ffn, m->eps, r + (size_t)i * d);
	}
}

TARGET static size_t attend_scratch(const bert_model *m, int longest) {
	size_t n = longest, dh = m->hidden / m->heads;
	return whole_vectors((n + PANEL) * dh + (dh + PANEL) * n + ATTEND_ROWS * whole_vectors(n));
}

// bytes_scratch is how many floats BLOCK tokens' inputs take in a precision below float32.
TARGET static size_t bytes_scratch(const bert_model *m) {
	int d = m->hidden, wide = m->block[0].up.out;
	return m->precision ? BLOCK * (2 + row_bytes(m->precision, d > wide ? d : wide) / sizeof(float)) : 0;
}

TARGET static size_t scratch_floats(const bert_model *m, int n, int longest, int b, int threads) {
	size_t d = m->hidden, inner = FFN_ROWS * (size_t)m->block[0].up.out, adapter = 4 * (d + b);
	return n * 5 * d + (inner > adapter ? inner : adapter) + threads * attend_scratch(m, longest) + bytes_scratch(m);
}

// Sums go in the order of the tokens, whatever texts are beside one.
TARGET static void means(const float *x, const int32_t *lengths, int texts, int d, float *y, size_t ldy) {
	for (int i = 0; i < texts; i++, y += ldy) {
		for (int c = 0; c < d; c += LANES) put(y + c, d - c, get(x + c, d - c));
		x += d;
		for (int t = 1; t < lengths[i]; t++, x += d)
			for (int c = 0; c < d; c += LANES) put(y + c, d - c, add(get(y + c, d - c), get(x + c, d - c)));
		vec n = all(lengths[i]);
		for (int c = 0; c < d; c += LANES) put(y + c, d - c, over(get(y + c, d - c), n));
	}
}

// add_lora adds (x A) B of each target to one text's queries, keys and values, qkv [n,3d]. z holds 4 tokens' bottlenecks.
TARGET static void add_lora(const bert_adapter *a, int l, int d, const float *x, int n, float *qkv, float *z) {
	int b = a->bottleneck, r = b / ((a->targets & 1) + (a->targets >> 1 & 1) + (a->targets >> 2 & 1));
	for (int t = 0; t < n; t += 4, x += (size_t)4 * d, qkv += (size_t)12 * d) {
		int tokens = n - t < 4 ? n - t : 4, at = 0;
		product(x, d, tokens, d, a->down + (size_t)l * d * b, b, 0, z, b, 0);
		for (int i = 0; i < 3; i++) {
			if (!(a->targets >> i & 1)) continue;
			product(z + at, b, tokens, r, a->up + ((size_t)l * b + at) * d, d, 0, qkv + (size_t)i * d, (size_t)3 * d, 1);
			at += r;
		}
	}
}

#include "team.h"
#include "pass.h"

// peak is as much as the core can do: multiply-adds that wait for nothing.
TARGET static float peak(int precision, long times, float x) {
	switch (precision) {
	case BERT_INT16: return peak_ints(16, times);
	case BERT_INT8: return INTS_IN_TILES ? peak_tiles(BERT_INT8, times) : peak_ints(8, times);
	case BERT_BFLOAT16: return peak_tiles(BERT_BFLOAT16, times);
	}
	vec acc[12], by = all(x), total = all(0);
	UNROLL
	for (int i = 0; i < 12; i++) acc[i] = all(i);
	for (; times > 0; times--) {
		UNROLL
		for (int i = 0; i < 12; i++) acc[i] = madd(acc[i], by, by);
	}
	UNROLL
	for (int i = 0; i < 12; i++) total = add(total, acc[i]);
	return sum(total);
}

const bert_path PATH = {PANEL, pack, whole_layer, means, scratch_floats, forward, help, peak};

#endif
