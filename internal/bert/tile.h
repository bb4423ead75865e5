// The micro-kernel of every product: rows × PANEL outputs from a panel of weights, which holds PANEL weights for each input. And the linear layers over it.
//
// A tile of up to ROWS rows is summed in 2·ROWS registers. The order in which an output is summed depends on nothing but the number of inputs, so a row's result is the
// same to the bit whatever rows are beside it.

// At most DEPTH inputs are taken at a time: so a panel stays in the L1 cache for all rows of a block, and a block of rows in L2 for all panels.
enum { PANEL = 2 * LANES, BLOCK = 96, DEPTH = 384 };

// tile adds n inputs to rows × vecs·LANES outputs, or begins them from the bias. Meanwhile it fetches lines cache lines from next into L2: with few rows to a panel,
// waiting for the weights would take a third of the time.
INLINE void tile(const int rows, const int vecs, const float *x, size_t ldx, const float *w, int n, const float *bias, float *y, size_t ldy, int first, const float *next, int lines) {
	vec acc[ROWS][2];
	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
		for (int v = 0; v < vecs; v++) acc[r][v] = load((first ? bias : y + r * ldy) + v * LANES);
	int chunk = (lines * 8 + n - 1) / n;
	for (int k = 0; k < n; k++, w += PANEL) {
		if (k % 8 == 0)
			for (int i = 0; i < chunk; i++, next += 16) prefetch(next);
		vec w0 = load(w), w1 = vecs > 1 ? load(w + LANES) : w0;
		UNROLL
		for (int r = 0; r < rows; r++) {
			vec a = all(x[r * ldx + k]);
			acc[r][0] = madd(a, w0, acc[r][0]);
			if (vecs > 1) acc[r][1] = madd(a, w1, acc[r][1]);
		}
	}
	UNROLL
	for (int r = 0; r < rows; r++)
		UNROLL
		for (int v = 0; v < vecs; v++) store(y + r * ldy + v * LANES, acc[r][v]);
}

// tiles is all rows of a panel; next is where the panel after it lies.
INLINE void tiles(const int vecs, const float *x, int rows, size_t ldx, const float *w, int n, const float *bias, float *y, size_t ldy, int first, const float *next) {
	int lines = n * PANEL / 16 / ((rows + ROWS - 1) / ROWS);
	for (; rows >= ROWS; rows -= ROWS, x += ROWS * ldx, y += ROWS * ldy, next += (size_t)lines * 16) tile(ROWS, vecs, x, ldx, w, n, bias, y, ldy, first, next, lines);
#define REST(r) \
	case r: \
		if (r < ROWS) tile(r, vecs, x, ldx, w, n, bias, y, ldy, first, next, lines); \
		break;
	switch (rows) { REST(1) REST(2) REST(3) REST(4) REST(5) REST(6) REST(7) REST(8) REST(9) REST(10) REST(11) }
}

// panel is cols ≤ PANEL outputs of some rows. What is no whole number of vectors goes through a buffer.
TARGET static void panel(const float *x, int rows, size_t ldx, const float *w, int n, const float *bias, float *y, size_t ldy, int cols, int first, const float *next) {
	if (cols == PANEL) {
		tiles(2, x, rows, ldx, w, n, bias, y, ldy, first, next);
		return;
	}
	if (cols == LANES) {
		tiles(1, x, rows, ldx, w, n, bias, y, ldy, first, next);
		return;
	}
	float begin[PANEL] = {0}, whole[ROWS * PANEL] = {0};
	memcpy(begin, bias, cols * sizeof *bias);
	for (; rows > 0; rows -= ROWS, x += ROWS * ldx, y += ROWS * ldy) {
		int some = rows < ROWS ? rows : ROWS;
		for (int r = 0; r < some && !first; r++) memcpy(whole + r * PANEL, y + r * ldy, cols * sizeof *y);
		tiles(2, x, some, ldx, w, n, begin, whole, PANEL, first, next);
		for (int r = 0; r < some; r++) memcpy(y + r * ldy, whole + r * PANEL, cols * sizeof *y);
	}
}

static void pack(const float *w, int out, int in, float *packed) {
	for (int j = 0; j < out; j += PANEL)
		for (int k = 0; k < in; k++)
			for (int c = j; c < j + PANEL; c++) *packed++ = c < out ? w[(size_t)c * in + k] : 0;
}

// linear is panels from to to (less one) of a layer's outputs.
TARGET static void linear(const bert_linear *l, const float *x, int n, float *y, int from, int to) {
	int end = to * PANEL < l->out ? to * PANEL : l->out;
	for (int i = 0; i < n; i += BLOCK) {
		int rows = n - i < BLOCK ? n - i : BLOCK;
		for (int k = 0; k < l->in; k += DEPTH) {
			int depth = l->in - k < DEPTH ? l->in - k : DEPTH;
			const float *w = l->w + (size_t)from * PANEL * l->in + (size_t)k * PANEL;
			for (int j = from * PANEL; j < end; j += PANEL, w += (size_t)l->in * PANEL) {
				int cols = l->out - j < PANEL ? l->out - j : PANEL;
				panel(x + (size_t)i * l->in + k, rows, l->in, w, depth, l->bias + j, y + (size_t)i * l->out + j, l->out, cols, k == 0, w + (size_t)l->in * PANEL);
			}
		}
	}
}

static int panels(const bert_linear *l) { return (l->out + PANEL - 1) / PANEL; }
