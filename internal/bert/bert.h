// The forward pass of a frozen BERT on a CPU, for answers: no gradients, no padding, no library. bert.go says what it is for.

#ifndef XPEFT_BERT_H
#define XPEFT_BERT_H

#include <stddef.h>
#include <stdint.h>

// bert_linear is y = x wᵀ + bias with w [out,in] packed: for each 16 outputs, in steps of 16 weights.
typedef struct {
	const float *w, *bias;
	int in, out;
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
	float eps;
	const float *words, *positions, *types; // embeddings
	bert_norm embeddings;
	const bert_block *block;
} bert_model;

enum { BERT_GELU, BERT_GELU_TANH, BERT_RELU };

// bert_adapter is one folded adapter of the last blocks; what it does not have is null.
typedef struct {
	const float *down, *up;            // [blocks,d,b], [blocks,b,d]
	const float *down_bias, *up_bias;  // [blocks,b], [blocks,d]
	const float *norm;                 // [blocks,2,b]: LN_b's weight and bias
	int blocks, bottleneck, norm_b, relu;
	float eps; // LN_b's
} bert_adapter;

int bert_supported(void);

// bert_pack packs w [out,in]; out is a multiple of 16.
void bert_pack(const float *w, int out, int in, float *packed);

// bert_scratch is how many floats bert_forward needs for n tokens, longest of them in one text, and bottlenecks of at most b.
size_t bert_scratch(const bert_model *m, int n, int longest, int b);

// bert_batch is n texts that lie one after another: ids and types of each token, lengths, and owners: whose of the adapters a text gets, -1 for none.
// owners may be null: none; ids and types too, where a pass starts above the embeddings.
typedef struct {
	const int32_t *ids, *types, *lengths, *owners;
	int n;
} bert_batch;

// bert_forward makes the last block's states x [tokens,d]. start -1 begins with the embeddings; else x holds the residual sum f + a of block start. stop ends
// with block stop's residual sum instead; m->blocks for none. pooled [texts,ntaps,d] gets the mean states after some blocks: taps, ascending, 0 for the embeddings.
void bert_forward(const bert_model *m, const bert_batch *texts, const bert_adapter *adapters, int start, int stop,
	const int32_t *taps, int ntaps, float *x, float *pooled, float *scratch);

// bert_mean is the mean of each text's states x [n,d], in rows of y that are ldy apart.
void bert_mean(const float *x, const int32_t *lengths, int texts, int d, float *y, size_t ldy);

// bert_linear_apply is for n rows.
void bert_linear_apply(const bert_linear *l, const float *x, int n, float *y);

#endif
