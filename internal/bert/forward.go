//go:build cgo

package bert

// #include "bert.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Adapter is one folded adapter of the encoder's last Blocks blocks. What it does not have is nil.
type Adapter struct {
	Blocks, Bottleneck int
	Down, Up           []float32 // [Blocks,d,b] and [Blocks,b,d]
	DownBias, UpBias   []float32 // [Blocks,b] and [Blocks,d]
	Norm               []float32 // LN_b's affine, [Blocks,2,b]
	ReLU               bool      // else the identity
	Eps                float32   // LN_b's
}

// Batch is texts that lie one after another.
type Batch struct {
	IDs, Types []int32 // [tokens]: within the vocabulary and the types, which the caller checks
	Lengths    []int32 // [texts], each from 1 to the number of positions
	Owners     []int32 // [texts]: which adapter a text has, -1 for none
}

// Pooling says how the states of a text's tokens become one vector.
type Pooling int

const (
	Mean   Pooling = iota // of all tokens
	First                 // [CLS]
	Pooler                // tanh of the pooler's layer over the first
)

// Embed writes one vector a text to x [texts,d]. Cost: on one core, 0.25 ms a token of MiniLM-L6.
// pooled [texts,len(taps),d] gets the mean of each text's states after some blocks on the way:
// taps, ascending, 0 for the embeddings. It panics on parts that do not fit together.
func (m *Model) Embed(b Batch, adapters []Adapter, how Pooling, x []float32, taps []int32, pooled []float32) {
	longest, n := b.check(len(adapters))
	if len(x) != len(b.Lengths)*m.hidden || len(pooled) != len(taps)*len(x) {
		panic(fmt.Sprintf("bert: %d values and %d of %d taps for %d texts", len(x), len(pooled), len(taps), len(b.Lengths)))
	}
	m.checkTaps(taps)
	as, bottleneck := make([]C.bert_adapter, max(1, len(adapters))), 0
	var pins runtime.Pinner // does nothing to what lies outside of Go's heap
	defer pins.Unpin()
	for i, a := range adapters {
		for _, part := range [][]float32{a.Down, a.Up, a.DownBias, a.UpBias, a.Norm} {
			if part != nil {
				pins.Pin(&part[0])
			}
		}
		bottleneck = max(bottleneck, a.Bottleneck)
		as[i] = C.bert_adapter{down: ptr(a.Down), up: ptr(a.Up), down_bias: ptr(a.DownBias), up_bias: ptr(a.UpBias), norm: ptr(a.Norm),
			blocks: C.int(a.Blocks), bottleneck: C.int(a.Bottleneck), norm_b: flag(a.Norm != nil), relu: flag(a.ReLU), eps: C.float(a.Eps)}
	}
	states := n * m.hidden
	memory := m.take(states + int(C.bert_scratch(m.c, C.int(n), C.int(longest), C.int(bottleneck))))
	defer m.give(memory)
	y := memory[:states]
	C.bert_forward(m.c, ints(b.IDs), ints(b.Types), ints(b.Lengths), ints(b.Owners), C.int(len(b.Lengths)), &as[0],
		ints(taps), C.int(len(taps)), ptr(y), ptr(pooled), ptr(memory[states:]))
	m.pool(b.Lengths, y, how, x)
}

func (b Batch) check(adapters int) (longest, tokens int) {
	for i, n := range b.Lengths {
		if n < 1 || b.Owners[i] < -1 || int(b.Owners[i]) >= adapters {
			panic(fmt.Sprintf("bert: text %d has %d tokens and adapter %d of %d", i, n, b.Owners[i], adapters))
		}
		longest, tokens = max(longest, int(n)), tokens+int(n)
	}
	if tokens == 0 || len(b.IDs) != tokens || len(b.Types) != tokens || len(b.Owners) != len(b.Lengths) {
		panic(fmt.Sprintf("bert: %d texts of %d tokens with %d ids, %d types, %d owners", len(b.Lengths), tokens, len(b.IDs), len(b.Types), len(b.Owners)))
	}
	return longest, tokens
}

// checkTaps wants them ascending: the pass goes through the blocks once.
func (m *Model) checkTaps(taps []int32) {
	for i, l := range taps {
		if l < 0 || l > int32(m.c.blocks) || i > 0 && l <= taps[i-1] {
			panic(fmt.Sprintf("bert: taps %v of %d blocks", taps, m.c.blocks))
		}
	}
}

// take gives a pass its memory, which it gives back: there is a buffer for each pass that ever ran at once. Fresh ones would be paged in again and again.
func (m *Model) take(n int) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := len(m.scratch) - 1; last >= 0 {
		s := m.scratch[last]
		m.scratch = m.scratch[:last]
		if cap(s) >= n {
			return s[:n]
		}
	}
	return make([]float32, n, n+n/4)
}

func (m *Model) give(s []float32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scratch = append(m.scratch, s)
}

func ints(x []int32) *C.int32_t { return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(x))) }

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
