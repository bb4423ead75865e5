// The forward pass of a frozen BERT on a CPU, for answers: no gradients, no padding, no library. bert.go says what it is for.

#ifndef XPEFT_BERT_H
#define XPEFT_BERT_H

#include <stddef.h>
#include <stdint.h>

enum { BERT_FLOAT32, BERT_INT16, BERT_INT8, BERT_BFLOAT16 };

// bert_linear is y = x wᵀ + bias with w [out,in] packed: for each panel of outputs, a step for each input; the last panel is filled up with zeros.
//
// In whole numbers y = scale·(q x) + bias, and x ≈ zero + step·(whole numbers) for each token; sums
// is scale·Σq. In bfloat16 y = q x + bias. q is bytes, or pairs of them, in panels whose steps take
// four bytes of each output; an output's are filled up with zeros to a multiple of 64. scale and
// sums have whole panels.
typedef struct {
	const float *w, *bias;
	int in, out, precision;
	const uint8_t *q;
	const float *scale, *sums;
} bert_linear;

typedef struct {
	const float *weight, *bias;
} bert_norm;

typedef struct {
	bert_linear qkv, out, up, down;
	bert_norm attention, ffn;
} bert_block;

typedef struct {
	int hidden, heads, blocks, act; // act: BERT_GELU, …
	int precision;                  // of the blocks' layers
	float eps;
	const float *words, *positions, *types; // embeddings
	bert_norm embeddings;
	const bert_block *block;
} bert_model;

enum { BERT_GELU, BERT_GELU_TANH, BERT_RELU };

// bert_adapter is one folded adapter of the last blocks; what it does not have is null. With targets, bits for query, key and value, it is a LoRA: parts of down's
// columns and up's rows, of one size, belong to one target after the other.
typedef struct {
	const float *down, *up;            // [blocks,d,b], [blocks,b,d]
	const float *down_bias, *up_bias;  // [blocks,b], [blocks,d]
	const float *norm;                 // [blocks,2,b]: LN_b's weight and bias
	int blocks, bottleneck, norm_b, relu, targets;
	float eps; // LN_b's
} bert_adapter;

// bert_batch is n texts that lie one after another: ids and types of each token, lengths, and owners: whose of the adapters a text gets, -1 for none.
// owners may be null: none; ids and types too, where a pass starts above the embeddings.
typedef struct {
	const int32_t *ids, *types, *lengths, *owners;
	int n;
} bert_batch;

// bert_parts is how many nanoseconds of the thread's time each part of a pass took, for benchmarks on Linux; last is when the part before ended.
enum { BERT_QKV, BERT_ATTENTION, BERT_OUT, BERT_UP, BERT_ACTIVATION, BERT_DOWN, BERT_NORMS, BERT_PARTS };

typedef struct {
	int64_t last, took[BERT_PARTS];
} bert_parts;

// bert_team is the threads that share a pass; zeros before it. open is the number of the step that
// is open and, in its lower half, how many of its parts nobody has taken yet.
typedef struct {
	uint64_t open;
	uintptr_t pass; // of a step whose part one has taken
	int threads;    // at most, with the pass's own
	int limit;      // the same now: helpers beyond leave
	int joined, asleep;
} bert_team;

// bert_path is one path: forward.c, compiled for the instructions of one kind of processor. panel is how many outputs lie side by side in packed weights.
typedef struct {
	int panel;
	void (*pack)(const float *w, int out, int in, float *packed);
	void (*linear)(const bert_linear *l, const float *x, int n, float *y, float *scratch);
	void (*mean)(const float *x, const int32_t *lengths, int texts, int d, float *y, size_t ldy);
	size_t (*scratch)(const bert_model *m, int n, int longest, int b, int threads);
	void (*forward)(const bert_model *m, const bert_batch *texts, const bert_adapter *adapters, int start, int stop,
		const int32_t *taps, int ntaps, float *x, float *pooled, float *scratch, bert_parts *parts, bert_team *team);
	void (*help)(bert_team *team);
	float (*peak)(int precision, long times, float x);
} bert_path;

// The twins are the same sources in plain C, of as many lanes: they run everywhere and give the same bits.
extern const bert_path bert_avx2, bert_avx512, bert_amx, bert_twin8, bert_twin16;

int bert_has_avx2(void);
int bert_has_avx512(void);
int bert_has_vnni(void); // beside AVX-512F: then its path does layers in whole numbers
int bert_has_amx(void);  // and may use it: the first call asks the system for the process

// bert_pack packs w [out,in] into memory of in × out floats, out rounded up to whole panels, at a multiple of 64 bytes.
static inline void bert_pack(const bert_path *p, const float *w, int out, int in, float *packed) { p->pack(w, out, in, packed); }

// bert_scratch is how many floats bert_forward needs for n tokens, longest of them in one text,
// bottlenecks of at most b, and threads at most.
static inline size_t bert_scratch(const bert_path *p, const bert_model *m, int n, int longest, int b, int threads) {
	return p->scratch(m, n, longest, b, threads);
}

// bert_forward makes the last block's states x [tokens,d]. start -1 begins with the embeddings; else x holds the residual sum f + a of block start. stop ends
// with block stop's residual sum instead; m->blocks for none. pooled [texts,ntaps,d] gets the mean states after some blocks: taps, ascending, 0 for the embeddings.
// parts may be null, and so may team: then it shares the pass with nobody.
static inline void bert_forward(const bert_path *p, const bert_model *m, const bert_batch *texts, const bert_adapter *adapters, int start, int stop,
	const int32_t *taps, int ntaps, float *x, float *pooled, float *scratch, bert_parts *parts, bert_team *team) {
	p->forward(m, texts, adapters, start, stop, taps, ntaps, x, pooled, scratch, parts, team);
}

// bert_help takes parts of the team's pass until it ends or the team is limited to fewer threads. It
// may begin before the pass, and after it has ended.
static inline void bert_help(const bert_path *p, bert_team *team) { p->help(team); }

// bert_limit makes a team's helpers beyond so many threads leave after the parts that they are at.
static inline void bert_limit(bert_team *team, int threads) { __atomic_store_n(&team->limit, threads, __ATOMIC_SEQ_CST); }

// bert_shares says whether threads can share a pass: whether they have something to sleep on.
int bert_shares(void);

// bert_mean is the mean of each text's states x [n,d], in rows of y that are ldy apart.
static inline void bert_mean(const bert_path *p, const float *x, const int32_t *lengths, int texts, int d, float *y, size_t ldy) {
	p->mean(x, lengths, texts, d, y, ldy);
}

// bert_apply is a linear layer of n rows. In float32 it needs no scratch.
static inline void bert_apply(const bert_path *p, const bert_linear *l, const float *x, int n, float *y, float *scratch) {
	p->linear(l, x, n, y, scratch);
}

// bert_peak is times × 12 multiply-adds of vectors, or of tiles, in a precision, for benchmarks. The
// sum is of no use.
static inline float bert_peak(const bert_path *p, int precision, long times, float x) { return p->peak(precision, times, x); }

#endif
