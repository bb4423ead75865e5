//go:build cgo && amd64

package bert

/*
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lm
#include <stdlib.h>
#include "bert.h"
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// cPath is the pass in C: what the weights are packed for lies in C's memory.
type cPath struct {
	kernels
	in     Precision
	model  *C.bert_model
	pooler C.bert_linear
	memory []unsafe.Pointer
	pins   runtime.Pinner // of weights in Go's memory that C keeps pointers to
}

// kernels are one of the paths in C, and what it needs to run.
type kernels struct {
	name string
	c    *C.bert_path
	runs func() bool
	does func(Precision) bool // here
}

// fast are the paths for some processors, the fastest first, each with its twin: the same in plain
// C, which tests and the check at the start compare it with.
var fast = []pair{
	{kernels{"amx", &C.bert_amx, func() bool { return C.bert_has_amx() != 0 }, all}, twin16},
	{kernels{"avx512", &C.bert_avx512, func() bool { return C.bert_has_avx512() != 0 },
		func(p Precision) bool { return p == Float32 || p != BFloat16 && C.bert_has_vnni() != 0 }}, twin16},
	{kernels{"avx2", &C.bert_avx2, func() bool { return C.bert_has_avx2() != 0 }, float32Only},
		kernels{"twin8", &C.bert_twin8, everywhere, float32Only}},
}

var twin16 = kernels{"twin16", &C.bert_twin16, everywhere, all}

func everywhere() bool             { return true }
func all(Precision) bool           { return true }
func float32Only(p Precision) bool { return p == Float32 }

func newC(w Weights, k kernels, in Precision) path {
	p := &cPath{kernels: k, in: in}
	blocks := unsafe.Slice((*C.bert_block)(p.alloc(len(w.Blocks)*C.sizeof_bert_block)), len(w.Blocks))
	for l, b := range w.Blocks {
		blocks[l] = C.bert_block{qkv: p.packIn(in, b.QKV), out: p.packIn(in, b.Out), up: p.packIn(in, b.Up),
			down: p.packIn(in, b.Down), attention: p.norm(b.Attention), ffn: p.norm(b.FFN)}
	}
	p.model = (*C.bert_model)(p.alloc(C.sizeof_bert_model))
	*p.model = C.bert_model{hidden: C.int(w.Hidden), heads: C.int(w.Heads), blocks: C.int(len(blocks)),
		act: activations[w.Activation], precision: inC[in], eps: C.float(w.Eps),
		words: p.keep(w.Words), positions: p.keep(w.Positions), types: p.keep(w.Types),
		embeddings: p.norm(w.Embeddings), block: &blocks[0]}
	if w.Pooler != nil {
		p.pooler = p.pack(*w.Pooler)
	}
	return p
}

var activations = map[Activation]C.int{GELU: C.BERT_GELU, GELUTanh: C.BERT_GELU_TANH, ReLU: C.BERT_RELU}

func (p *cPath) kernel() string {
	if p.in == Float32 {
		return "c-" + p.name
	}
	return "c-" + p.name + "-" + p.in.String()
}

func (p *cPath) free() {
	for _, m := range p.memory {
		C.free(m)
	}
	p.memory = nil
	p.pins.Unpin()
}

// alloc begins on a cache line, so that no vector lies on two.
func (p *cPath) alloc(bytes int) unsafe.Pointer {
	m := C.malloc(C.size_t(bytes + 63)) // never nil: Go's wrapper ends the process where there is no memory
	p.memory = append(p.memory, m)
	clear(unsafe.Slice((*byte)(m), bytes+63)) // where Go stores a pointer, its collector reads the one before
	return unsafe.Add(m, -uintptr(m)&63)
}

func (p *cPath) pack(l Linear) C.bert_linear {
	panel := int(p.c.panel)
	w := (*C.float)(p.alloc(4 * l.In * ((l.Out + panel - 1) / panel * panel)))
	C.bert_pack(p.c, ptr(l.W), C.int(l.Out), C.int(l.In), w)
	return C.bert_linear{w: w, bias: p.keep(l.B), in: C.int(l.In), out: C.int(l.Out)}
}

// packIn packs a layer in a precision.
func (p *cPath) packIn(in Precision, l Linear) C.bert_linear {
	if in == Float32 {
		return p.pack(l)
	}
	c := C.bert_linear{bias: p.keep(l.B), in: C.int(l.In), out: C.int(l.Out), precision: inC[in]}
	q := quantize(l, in, int(p.c.panel))
	w := unsafe.Slice((*byte)(p.alloc(len(q.Q))), len(q.Q))
	copy(w, q.Q)
	if c.q = (*C.uint8_t)(&w[0]); in != BFloat16 {
		c.scale, c.sums = p.keep(q.Scale), p.keep(q.Sums)
	}
	return c
}

var inC = map[Precision]C.int{Float32: C.BERT_FLOAT32, Int16: C.BERT_INT16, Int8: C.BERT_INT8,
	BFloat16: C.BERT_BFLOAT16}

func (p *cPath) norm(n Norm) C.bert_norm {
	return C.bert_norm{weight: p.keep(n.Weight), bias: p.keep(n.Bias)}
}

// keep is for a pointer that stays in C until free.
func (p *cPath) keep(x []float32) *C.float {
	p.pins.Pin(&x[0]) // does nothing to what lies outside of Go's heap
	return ptr(x)
}

func (p *cPath) floats(tokens, longest, b, threads int) int {
	return int(C.bert_scratch(p.c, p.model, C.int(tokens), C.int(longest), C.int(b), C.int(threads)))
}

// cTeam lies in Go's memory: a helper keeps it after the pass has ended.
type cTeam struct {
	path *C.bert_path
	c    C.bert_team
}

func (p *cPath) shares() bool { return C.bert_shares() != 0 }

func (p *cPath) team(threads int) team {
	return &cTeam{p.c, C.bert_team{threads: C.int(threads), limit: C.int(threads)}}
}

func (t *cTeam) threads() int { return int(t.c.threads) }
func (t *cTeam) help()        { C.bert_help(t.path, &t.c) }
func (t *cTeam) limit(n int)  { C.bert_limit(&t.c, C.int(n)) }

func (p *cPath) forward(b Batch, adapters []Adapter, start, stop int, taps []int32, x, pooled, scratch []float32,
	t team) {
	var c *C.bert_team
	if t, ok := t.(*cTeam); ok {
		c = &t.c
	}
	p.pass(b, adapters, start, stop, taps, x, pooled, scratch, nil, c)
}

func (p *cPath) pass(b Batch, adapters []Adapter, start, stop int, taps []int32, x, pooled, scratch []float32,
	parts *C.bert_parts, t *C.bert_team) {
	as := make([]C.bert_adapter, max(1, len(adapters)))
	var pins runtime.Pinner
	defer pins.Unpin()
	for i, a := range adapters {
		for _, part := range [][]float32{a.Down, a.Up, a.DownBias, a.UpBias, a.Norm} {
			if part != nil {
				pins.Pin(&part[0])
			}
		}
		as[i] = C.bert_adapter{down: ptr(a.Down), up: ptr(a.Up), down_bias: ptr(a.DownBias), up_bias: ptr(a.UpBias),
			norm: ptr(a.Norm), blocks: C.int(a.Blocks), bottleneck: C.int(a.Bottleneck),
			norm_b: flag(a.Norm != nil), relu: flag(a.ReLU), targets: C.int(a.Targets), eps: C.float(a.Eps)}
	}
	for _, part := range [][]int32{b.IDs, b.Types, b.Lengths, b.Owners} {
		if len(part) > 0 {
			pins.Pin(&part[0])
		}
	}
	texts := C.bert_batch{ids: ints(b.IDs), types: ints(b.Types), lengths: ints(b.Lengths), owners: ints(b.Owners),
		n: C.int(len(b.Lengths))}
	C.bert_forward(p.c, p.model, &texts, &as[0], C.int(start), C.int(stop), ints(taps), C.int(len(taps)), ptr(x),
		ptr(pooled), ptr(scratch), parts, t)
}

func (p *cPath) mean(x []float32, lengths []int32, y []float32) {
	C.bert_mean(p.c, ptr(x), ints(lengths), C.int(len(lengths)), p.model.hidden, ptr(y), C.size_t(p.model.hidden))
}

func (p *cPath) pool(x []float32, n int, y []float32) {
	C.bert_apply(p.c, &p.pooler, ptr(x), C.int(n), ptr(y), nil)
}

// ptr is null for nothing.
func ptr(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }

func ints(x []int32) *C.int32_t { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
