// Linear layers in whole numbers of 8 or 16 bits. bert.h says what such a layer is.
//
// Each token has a range of its own, so no text has a part in another's answer. Products are summed
// in 32 bits: exactly, in any order, on every processor.

// quantize makes a token's inputs whole numbers q, x ≈ zero + step·q: from 0 to 255, or from −4096
// to 4096 in 16 bits. If one of the inputs is no finite number, then step is NaN.
INLINE void quantize(const int bits, const float *x, int n, uint8_t *q, float *zero, float *step) {
	vec min = all(0), max = all(0), finite = all(0);
	for (int i = 0; i < n; i += LANES) {
		vec v = get(x + i, n - i);
		min = least(v, min);
		max = most(v, max);
		finite = madd(v, all(0), finite);
	}
	float low = -largest(flip(min)), range = largest(max) - low, steps = bits == 8 ? 255 : 8191;
	*zero = bits == 8 ? low : low + range / 2;
	*step = range / steps + sum(finite);
	vec from = all(*zero), by = all(range > 1e-30f ? steps / range : 0);
	for (int i = 0; i < n; i += LANES, q += LANES * bits / 8) {
		vec v = mul(sub(get(x + i, n - i), from), by);
		if (bits == 8) put_bytes(q, v);
		else put_shorts(q, v);
	}
}

INLINE ints dots(const int bits, ints sums, ints x, ints w) {
	return bits == 8 ? dots8(sums, x, w) : dots16(sums, x, w);
}

// affine is what makes the sums of a vector of outputs from at on these outputs.
typedef struct {
	vec scale, sums, bias;
} affine;

INLINE affine affine_of(const bert_linear *l, int at, int left) {
	return (affine){load(l->scale + at), load(l->sums + at), get(l->bias + at, left)};
}

INLINE vec whole_output(ints sums, float zero, float step, affine a) {
	return madd(mul(floats(sums), all(step)), a.scale, madd(all(zero), a.sums, a.bias));
}

// tile_ints is rows × PANEL outputs, from j on, of a layer. Meanwhile it fetches the weights that lie
// ahead bytes further into L2.
INLINE void tile_ints(const int bits, const int rows, const bert_linear *l, int j, const uint8_t *q, size_t ldq,
	const float *zero, const float *step, float *y, size_t ahead) {
	ints acc[ROWS][2];
	UNROLL
	for (int r = 0; r < rows; r++) acc[r][0] = acc[r][1] = no_ints();
	const uint8_t *w = l->q + j * ldq;
	for (size_t k = 0; k < ldq; k += 4, w += 4 * PANEL) {
		prefetch((const float *)(w + ahead));
		prefetch((const float *)(w + ahead + 4 * LANES));
		ints w0 = load_ints(w), w1 = load_ints(w + 4 * LANES);
		UNROLL
		for (int r = 0; r < rows; r++) {
			ints x = all_ints(q + r * ldq + k);
			acc[r][0] = dots(bits, acc[r][0], x, w0);
			acc[r][1] = dots(bits, acc[r][1], x, w1);
		}
	}
	UNROLL
	for (int v = 0; v < 2; v++) {
		int at = j + v * LANES, left = l->out - at;
		if (left <= 0) break;
		affine a = affine_of(l, at, left);
		UNROLL
		for (int r = 0; r < rows; r++) put(y + (size_t)r * l->out + at, left, whole_output(acc[r][v], zero[r], step[r], a));
	}
}

// bytes are some tokens' inputs in whole numbers, at most BLOCK, and their ranges.
typedef struct {
	uint8_t *q;
	float *zero, *step;
} bytes;

static bytes bytes_in(float *memory) { return (bytes){(uint8_t *)(memory + 2 * BLOCK), memory, memory + BLOCK}; }

// quantize_rows makes a layer's inputs whole numbers.
INLINE void quantize_rows(const int bits, const bert_linear *l, const float *x, int rows, float *memory) {
	bytes b = bytes_in(memory);
	size_t ldq = row_bytes(l->precision, l->in);
	for (int r = 0; r < rows; r++) quantize(bits, x + (size_t)r * l->in, l->in, b.q + r * ldq, b.zero + r, b.step + r);
}

// panels_ints is panels from to to (less one) of the outputs. The first tile of a panel fetches the
// next panel.
INLINE void panels_ints(const int bits, const bert_linear *l, int rows, float *y, float *memory, int from, int to) {
	bytes b = bytes_in(memory);
	size_t ldq = row_bytes(l->precision, l->in);
	int end = to * PANEL < l->out ? to * PANEL : l->out;
	for (int j = from * PANEL; j < end; j += PANEL) {
		size_t ahead = ldq * PANEL;
		for (int r = 0; r < rows; r += ROWS, ahead = 0) {
#define TILE(some) \
	tile_ints(bits, some, l, j, b.q + r * ldq, ldq, b.zero + r, b.step + r, y + (size_t)r * l->out, ahead)
#define SOME(some) \
	case some: \
		TILE(some); \
		break;
			switch (rows - r) {
				SOME(1) SOME(2) SOME(3) SOME(4) SOME(5) SOME(6) SOME(7) SOME(8) SOME(9) SOME(10) SOME(11)
			default: TILE(ROWS);
			}
		}
	}
}

TARGET static void quantize8(const bert_linear *l, const float *x, int rows, float *memory) {
	quantize_rows(8, l, x, rows, memory);
}

TARGET static void quantize16(const bert_linear *l, const float *x, int rows, float *memory) {
	quantize_rows(16, l, x, rows, memory);
}

TARGET static void panels8(const bert_linear *l, int rows, float *y, float *memory, int from, int to) {
	panels_ints(8, l, rows, y, memory, from, to);
}

TARGET static void panels16(const bert_linear *l, int rows, float *y, float *memory, int from, int to) {
	panels_ints(16, l, rows, y, memory, from, to);
}

// peak_ints is peak of whole numbers.
INLINE float peak_ints(const int bits, long times) {
	ints acc[12], by = all_ints((const uint8_t *)&times);
	UNROLL
	for (int i = 0; i < 12; i++) acc[i] = no_ints();
	for (; times > 0; times--) {
		UNROLL
		for (int i = 0; i < 12; i++) acc[i] = dots(bits, acc[i], by, by);
	}
	float total = 0;
	UNROLL
	for (int i = 0; i < 12; i++) total += sum(floats(acc[i]));
	return total;
}
