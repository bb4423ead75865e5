// A pass as steps, whose parts threads share. Parts are columns of a layer or heads of a text, never
// terms of a sum: so the bits are the same whoever computes them.
//
// Who ends a step's last part begins the next step, and nobody waits for a thread that has taken
// nothing. Only who has taken a part of the open step reads anything but the team: the pass ends
// with its last part, and its memory may then go, though helpers still wake.

enum step { QKV, ATTEND, OUT, UP, DOWN };

typedef struct {
	const bert_model *m;
	const bert_batch *texts;
	const bert_adapter *adapters;
	int stop, n, longest, ntaps;
	const int32_t *taps;
	float *x, *pooled;
	bert_parts *times;
	float *qkv, *ctx, *a, *small, *bytes, *inner; // scratch
	int block, tap, row;                          // where it is; row: the step is of rows from it on
	enum step step;
	int parts, left; // of the step, and how many of them have not ended
} pass;

static const bert_linear *layer_of(const pass *p) {
	const bert_block *b = p->m->block + p->block;
	return p->step == QKV ? &b->qkv : p->step == OUT ? &b->out : p->step == UP ? &b->up : &b->down;
}

static int rows(const pass *p) { return p->n - p->row < BLOCK ? p->n - p->row : BLOCK; }

// from is a layer's inputs, and to its outputs.
static const float *from(const pass *p) {
	size_t at = (size_t)p->row * p->m->hidden;
	return p->step == QKV ? p->x + at : p->step == OUT ? p->ctx + at : p->step == UP ? p->a + at : p->inner;
}

static float *to(const pass *p) {
	size_t at = (size_t)p->row * p->m->hidden;
	return p->step == QKV ? p->qkv + 3 * at : p->step == OUT ? p->a + at : p->step == UP ? p->inner : p->x + at;
}

// owner is the adapter of a text, and l becomes which of its blocks this one is.
static const bert_adapter *owner(const pass *p, int text, int *l) {
	const bert_batch *t = p->texts;
	const bert_adapter *a = t->owners && t->owners[text] >= 0 ? p->adapters + t->owners[text] : 0;
	*l = a ? p->block - (p->m->blocks - a->blocks) : -1;
	return a;
}

// take computes parts i to end (less one) of the step, in a thread's own memory.
static void take(const pass *p, int thread, int i, int end) {
	int d = p->m->hidden, heads = p->m->heads;
	if (p->step != ATTEND) {
		const bert_linear *l = layer_of(p);
		outputs(l, from(p), rows(p), to(p), p->bytes, i, end);
		if (p->step != UP) return;
		lap(p->times, BERT_UP);
		int begin = i * PANEL, cols = (end * PANEL < l->out ? end * PANEL : l->out) - begin;
		if (cols == l->out) activate(p->inner, (size_t)rows(p) * cols, p->m->act);
		else
			for (int r = 0; r < rows(p); r++) activate(p->inner + (size_t)r * l->out + begin, cols, p->m->act);
		return;
	}
	float *small = p->small + thread * attend_scratch(p->m, p->longest);
	size_t at = 0;
	for (int t = 0, h = 0; h < end; at += p->texts->lengths[t++], h += heads) {
		int first = i > h ? i - h : 0, last = end - h < heads ? end - h : heads;
		if (first < last)
			attend(p->qkv + at * 3 * d, p->texts->lengths[t], d, d / heads, first, last, p->ctx + at * d, small);
	}
}

// arrive says whether there is another block: x is the states after some.
static int arrive(pass *p) {
	if (p->tap < p->ntaps && p->taps[p->tap] == p->block) {
		means(p->x, p->texts->lengths, p->texts->n, p->m->hidden, p->pooled + (size_t)p->tap * p->m->hidden,
			(size_t)p->ntaps * p->m->hidden);
		p->tap++;
	}
	p->step = QKV;
	lap(p->times, BERT_NORMS);
	return p->block < p->m->blocks;
}

// leave ends a block whose residual sum is x, and says whether there is another.
static int leave(pass *p) {
	float *x = p->x;
	for (int i = 0, l; i < p->texts->n; x += (size_t)p->texts->lengths[i++] * p->m->hidden) {
		const bert_adapter *a = owner(p, i, &l);
		adapt(p->m, p->m->block + p->block, a, l, x, p->texts->lengths[i], p->qkv);
	}
	p->block++;
	return arrive(p);
}

// add_loras ends the queries, keys and values.
static void add_loras(pass *p) {
	size_t at = 0, d = p->m->hidden;
	for (int i = 0, l; i < p->texts->n; at += p->texts->lengths[i++]) {
		const bert_adapter *a = owner(p, i, &l);
		if (a && a->targets && l >= 0) add_lora(a, l, d, p->x + at * d, p->texts->lengths[i], p->qkv + at * 3 * d, p->inner);
	}
}

// end_block is x = x + a, f + a, and says whether the pass goes on.
TARGET static int end_block(pass *p) {
	size_t size = (size_t)p->n * p->m->hidden;
	for (size_t i = 0; i < size; i += LANES) {
		int left = size - i < LANES ? size - i : LANES;
		put(p->x + i, left, add(get(p->x + i, left), get(p->a + i, left)));
	}
	return p->block != p->stop && leave(p);
}

// next ends a step and says whether there is another. Steps of layers go through rows by the BLOCK,
// UP and DOWN together, so that the inner states stay in L2.
static int next(pass *p) {
	static const int part[] = {BERT_QKV, BERT_ATTENTION, BERT_OUT, BERT_ACTIVATION, BERT_DOWN};
	int d = p->m->hidden, more = p->n - p->row > BLOCK;
	lap(p->times, part[p->step]);
	switch (p->step) {
	case ATTEND: p->step = OUT; return 1;
	case UP: p->step = DOWN; return 1;
	case QKV:
	case OUT:
		if (more) {
			p->row += BLOCK;
			return 1;
		}
		p->row = 0;
		if (p->step == QKV) {
			add_loras(p);
			lap(p->times, BERT_QKV);
		} else {
			for (size_t t = 0; t < (size_t)p->n * d; t += d) norm(p->a + t, p->x + t, d, p->m->block[p->block].attention, p->m->eps, p->a + t);
			lap(p->times, BERT_NORMS);
		}
		p->step = p->step == QKV ? ATTEND : UP;
		return 1;
	case DOWN:
		p->step = UP;
		p->row = more ? p->row + BLOCK : 0;
		return more || end_block(p);
	}
	return 0;
}

// ready makes a step's parts ready, and says how many there are.
static int ready(pass *p) {
	if (p->step == ATTEND) return p->parts = p->left = p->texts->n * p->m->heads;
	inputs(layer_of(p), from(p), rows(p), p->bytes);
	return p->parts = p->left = panels(layer_of(p));
}

// work takes parts until the pass ends or a helper must leave. It takes fewer and fewer of a step,
// so that all end it together.
static void work(bert_team *t, int thread) {
	while (!thread || thread < limit(t)) {
		uint64_t was = __atomic_load_n(&t->open, __ATOMIC_SEQ_CST);
		int left = (uint32_t)was, some = t->threads > 1 ? (left + 2 * t->threads - 1) / (2 * t->threads) : left;
		if (was == ENDED) return;
		if (!left) {
			await(t, was);
			continue;
		}
		if (!__atomic_compare_exchange_n(&t->open, &was, was - some, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
		pass *p = (pass *)t->pass;
		take(p, thread, p->parts - left, p->parts - left + some);
		if (__atomic_sub_fetch(&p->left, some, __ATOMIC_SEQ_CST)) continue;
		if (!next(p)) { // p is gone then
			publish(t, ENDED >> 32, 0);
			return;
		}
		publish(t, (was >> 32) + 1, ready(p));
	}
}

static void help(bert_team *t) {
	int thread = __atomic_add_fetch(&t->joined, 1, __ATOMIC_SEQ_CST);
	if (thread < t->threads) work(t, thread);
}

static void forward(const bert_model *m, const bert_batch *texts, const bert_adapter *adapters, int start, int stop,
	const int32_t *taps, int ntaps, float *x, float *pooled, float *scratch, bert_parts *times, bert_team *team) {
	pass p = {m, texts, adapters, stop, .taps = taps, .ntaps = ntaps, .x = x, .pooled = pooled, .times = times};
	bert_team alone = {.threads = 1};
	int d = m->hidden;
	if (!team) team = &alone;
	if (times) times->last = now();
	for (int i = 0; i < texts->n; i++) {
		int length = texts->lengths[i];
		if (start < 0) embed(m, texts->ids + p.n, texts->types + p.n, length, x + (size_t)p.n * d);
		p.longest = length > p.longest ? length : p.longest;
		p.n += length;
	}
	size_t size = (size_t)p.n * d;
	p.qkv = scratch, p.ctx = p.qkv + 3 * size, p.a = p.ctx + size, p.small = p.a + size;
	p.bytes = p.small + team->threads * attend_scratch(m, p.longest), p.inner = p.bytes + bytes_scratch(m);
	p.block = start < 0 ? 0 : start;
	if (start < 0 ? arrive(&p) : leave(&p)) {
		team->pass = (uintptr_t)&p;
		publish(team, 1, ready(&p));
		work(team, 0);
	}
}
