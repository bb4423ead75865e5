// Linear layers by products of tiles: registers of 16 rows × 64 bytes. Two of tokens times two of
// outputs are TALL × PANEL sums, which the vectors then make outputs.

enum { TALL = 32 }; // BLOCK is a multiple of it

// shorten makes a layer's inputs bfloat16, zeros beyond the last: what lies there may be NaN.
TARGET static void shorten(const bert_linear *l, const float *x, int rows, float *memory) {
	size_t ldq = row_bytes(BERT_BFLOAT16, l->in);
	uint8_t *q = bytes_in(memory).q;
	for (int r = 0; r < rows; r++, x += l->in)
		for (size_t i = 0; i < ldq / 2; i += LANES, q += 2 * LANES) {
			int left = l->in - (int)i;
			put_halves(q, left > 0 ? get(x + i, left) : all(0));
		}
}

// panels_tiles is panels from to to (less one) of the outputs. A tile's last rows may be any memory:
// their sums are not read.
INLINE void panels_tiles(const int precision, const bert_linear *l, int rows, float *y, float *memory, int from, int to) {
	bytes b = bytes_in(memory);
	size_t ldq = row_bytes(precision, l->in);
	_Alignas(64) float sums[TALL * PANEL];
	begin_tiles();
	for (int j = from * PANEL; j < l->out && j < to * PANEL; j += PANEL)
		for (int i = 0; i < rows; i += TALL) {
			int some = rows - i < TALL ? rows - i : TALL;
			tile_sums(precision, some, b.q + i * ldq, ldq, l->q + j * ldq, sums);
			for (int at = j, v = 0; v < 2 && at < l->out; at += LANES, v++) {
				int left = l->out - at;
				float *to = y + (size_t)i * l->out + at, *of = sums + v * LANES;
				if (precision == BERT_INT8) {
					affine a = affine_of(l, at, left);
					for (int r = 0; r < some; r++)
						put(to + (size_t)r * l->out, left,
							whole_output(load_ints((uint8_t *)(of + r * PANEL)), b.zero[i + r], b.step[i + r], a));
				} else {
					vec bias = get(l->bias + at, left);
					for (int r = 0; r < some; r++) put(to + (size_t)r * l->out, left, add(load(of + r * PANEL), bias));
				}
			}
		}
	end_tiles();
}

TARGET static void panels_tiles8(const bert_linear *l, int rows, float *y, float *memory, int from, int to) {
	panels_tiles(BERT_INT8, l, rows, y, memory, from, to);
}

TARGET static void panels_tiles16(const bert_linear *l, int rows, float *y, float *memory, int from, int to) {
	panels_tiles(BERT_BFLOAT16, l, rows, y, memory, from, to);
}
