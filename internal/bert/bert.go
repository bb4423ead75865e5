//go:build cgo

// Package bert is the forward pass of a frozen BERT on a CPU, in C: what answers Predict. It has no gradients; learning runs through libtorch.
//
// Texts lie one after another without padding, and each token goes through the large products beside all others. Each text brings an adapter of its own, which is
// read where it lies: nothing is joined or copied. Weights are packed once, in the order in which they are read. A text's result does not depend, to the bit,
// on the texts beside it, nor on the number of threads: a pass runs on the calling thread.
//
// It needs AVX2 and FMA; [Supported] says whether they are here. docs/decisions.md has what it was measured against.
package bert

/*
#cgo CFLAGS: -O3
#cgo LDFLAGS: -lm
#include <stdlib.h>
#include "bert.h"
*/
import "C"

import (
	"fmt"
	"sync"
	"unsafe"
)

// Supported says whether this CPU has what the kernels need.
func Supported() bool { return C.bert_supported() != 0 }

// Activation of the feed-forward layer.
type Activation int

const (
	GELU     Activation = C.BERT_GELU      // exact
	GELUTanh Activation = C.BERT_GELU_TANH // its tanh approximation
	ReLU     Activation = C.BERT_RELU
)

// Linear is y = x Wᵀ + B: W [Out,In], B [Out].
type Linear struct {
	W, B    []float32
	Out, In int
}

// Norm is a layer norm's affine, [d] each.
type Norm struct{ Weight, Bias []float32 }

// Block is one layer. QKV is query, key and value in one.
type Block struct {
	QKV, Out, Up, Down Linear
	Attention, FFN     Norm
}

// Weights of an encoder. The embeddings and norms are not copied: they must lie outside of Go's heap and outlive the Model.
type Weights struct {
	Hidden, Heads           int
	Activation              Activation
	Eps                     float32
	Words, Positions, Types []float32 // [·,d]
	Embeddings              Norm
	Blocks                  []Block
	Pooler                  *Linear // or nil
}

// Model is packed weights. It is safe for concurrent use.
type Model struct {
	c       *C.bert_model
	pooler  C.bert_linear
	memory  []unsafe.Pointer
	hidden  int
	kept    Weights // that C has pointers to
	mu      sync.Mutex
	scratch [][]float32 // of passes that ended
}

// New packs the large weights into memory of its own, 4 bytes a weight; Free gives it back. The error says what shapes the kernels cannot do.
func New(w Weights) (*Model, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	m := &Model{hidden: w.Hidden, kept: w}
	blocks := unsafe.Slice((*C.bert_block)(m.alloc(len(w.Blocks)*C.sizeof_bert_block)), len(w.Blocks))
	for l, b := range w.Blocks {
		blocks[l] = C.bert_block{qkv: m.pack(b.QKV), out: m.pack(b.Out), up: m.pack(b.Up), down: m.pack(b.Down), attention: b.Attention.c(), ffn: b.FFN.c()}
	}
	m.c = (*C.bert_model)(m.alloc(C.sizeof_bert_model))
	*m.c = C.bert_model{hidden: C.int(w.Hidden), heads: C.int(w.Heads), blocks: C.int(len(blocks)), act: C.int(w.Activation), eps: C.float(w.Eps),
		words: ptr(w.Words), positions: ptr(w.Positions), types: ptr(w.Types), embeddings: w.Embeddings.c(), block: &blocks[0]}
	if w.Pooler != nil {
		m.pooler = m.pack(*w.Pooler)
	}
	return m, nil
}

func (w Weights) check() error {
	if !Supported() {
		return fmt.Errorf("bert: no AVX2 or no FMA")
	}
	if len(w.Blocks) == 0 || w.Heads < 1 || w.Hidden%(16*w.Heads) != 0 {
		return fmt.Errorf("bert: %d values in %d heads, %d blocks", w.Hidden, w.Heads, len(w.Blocks))
	}
	var layers []Linear
	if w.Pooler != nil {
		layers = append(layers, *w.Pooler)
	}
	for _, b := range w.Blocks {
		layers = append(layers, b.QKV, b.Out, b.Up, b.Down)
		if b.Up.Out != w.Blocks[0].Up.Out {
			return fmt.Errorf("bert: feed-forward layers of %d and %d values", b.Up.Out, w.Blocks[0].Up.Out)
		}
	}
	for _, l := range layers {
		if l.Out%16 != 0 || len(l.W) != l.Out*l.In || len(l.B) != l.Out {
			return fmt.Errorf("bert: a layer of %d × %d values", l.Out, l.In)
		}
	}
	return nil
}

// Free gives the packed weights back. No pass may run.
func (m *Model) Free() {
	for _, p := range m.memory {
		C.free(p)
	}
	m.memory = nil
}

func (m *Model) alloc(bytes int) unsafe.Pointer {
	p := C.malloc(C.size_t(bytes)) // never nil: Go's wrapper ends the process where there is no memory
	m.memory = append(m.memory, p)
	return p
}

func (m *Model) pack(l Linear) C.bert_linear {
	w := (*C.float)(m.alloc(4 * len(l.W)))
	C.bert_pack(ptr(l.W), C.int(l.Out), C.int(l.In), w)
	return C.bert_linear{w: w, bias: ptr(l.B), in: C.int(l.In), out: C.int(l.Out)}
}

func (n Norm) c() C.bert_norm { return C.bert_norm{weight: ptr(n.Weight), bias: ptr(n.Bias)} }

// ptr is null for nothing.
func ptr(x []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(x))) }
