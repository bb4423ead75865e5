// Package bert is the forward pass of a frozen BERT on a CPU: what answers Predict, and the part of
// a training step that no adapter changes.
//
// Texts lie one after another without padding, and each token goes through the large products
// beside all others. Each text brings an adapter of its own, which is read where it lies: nothing
// is joined or copied. Weights are packed once, in the order in which they are read. A text's
// result does not depend, to the bit, on the texts beside it, nor on the number of threads: a pass
// runs on the calling thread, and one in C on those that a [Crew] lends it.
//
// There are four paths, of the same order of sums: one source in C, compiled for AVX2 with FMA, for
// AVX-512F and for that with AMX, and Go over internal/dense for whatever else: no cgo, another
// processor. kernel.go chooses one at the start. docs/decisions.md has what the C paths were
// measured against.
package bert

import (
	"fmt"
	"runtime"
	"sync"
)

// Activation of the feed-forward layer.
type Activation int

const (
	GELU     Activation = iota // exact
	GELUTanh                   // its tanh approximation
	ReLU
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

// Weights of an encoder. The embeddings, norms and biases are not copied: they must not change, and
// a mapped file must outlive the Model.
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
	path
	Crew           *Crew // that passes may have helpers of; nil: each runs on one thread
	hidden, blocks int
	mu             sync.Mutex
	scratch        [][]float32 // of passes that ended
}

// path is what C and Go each do.
type path interface {
	kernel() string
	// floats is how many the pass of a batch needs besides x, with bottlenecks of at most b, on so
	// many threads at most.
	floats(tokens, longest, b, threads int) int
	shares() bool // whether threads can share a pass
	team(threads int) team
	// forward is in bert.h. The team is one of this path's, or nil.
	forward(b Batch, adapters []Adapter, start, stop int, taps []int32, x, pooled, scratch []float32, t team)
	mean(x []float32, lengths []int32, y []float32)
	pool(x []float32, n int, y []float32) // the pooler's layer
	free()
}

// New packs the large weights into memory of its own, 4 bytes a weight; Free gives it back. kernel
// is "" for the fastest path that runs here, or forces one: "amx", "avx512", "avx2" or [Portable];
// [ErrNoKernel] says that it does not run here, another error what does not fit together. in is the
// precision that is asked for; [Served] says which it is. Int16 and BFloat16 take 2 bytes a weight,
// Int8 one.
func New(w Weights, kernel string, in Precision) (*Model, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	k, err := choose(kernel)
	if err != nil {
		return nil, err
	}
	if k == nil {
		return newModel(w, newGo(w)), nil
	}
	return newModel(w, newC(w, *k, Served(kernel, in))), nil
}

func newModel(w Weights, p path) *Model {
	m := &Model{path: p, hidden: w.Hidden, blocks: len(w.Blocks)}
	runtime.SetFinalizer(m, (*Model).Free) // for who forgets it
	return m
}

// Kernel says what runs: c-amx, c-avx512, c-avx2, go-avx2, go-neon or go; the first two with the
// precision after a dash where it is not float32.
func (m *Model) Kernel() string { return m.kernel() }

// Free gives the packed weights back. No pass may run.
func (m *Model) Free() {
	runtime.SetFinalizer(m, nil)
	m.free()
}

func (w Weights) check() error {
	d := w.Hidden
	if len(w.Blocks) == 0 || w.Heads < 1 || d < 1 || d%w.Heads != 0 {
		return fmt.Errorf("bert: %d values in %d heads, %d blocks", d, w.Heads, len(w.Blocks))
	}
	for _, table := range [][]float32{w.Words, w.Positions, w.Types} {
		if len(table) == 0 || len(table)%d != 0 {
			return fmt.Errorf("bert: embeddings of %d values, want a multiple of %d", len(table), d)
		}
	}
	norms, wide := []Norm{w.Embeddings}, w.Blocks[0].Up.Out
	for _, b := range w.Blocks {
		norms = append(norms, b.Attention, b.FFN)
		if !b.QKV.is(3*d, d) || !b.Out.is(d, d) || !b.Up.is(wide, d) || !b.Down.is(d, wide) {
			return fmt.Errorf("bert: a block of %d values whose layers do not fit", d)
		}
	}
	if w.Pooler != nil && !w.Pooler.is(d, d) {
		return fmt.Errorf("bert: a pooler of %d × %d values", w.Pooler.Out, w.Pooler.In)
	}
	for _, n := range norms {
		if len(n.Weight) != d || len(n.Bias) != d {
			return fmt.Errorf("bert: a layer norm of %d and %d values", len(n.Weight), len(n.Bias))
		}
	}
	return nil
}

func (l Linear) is(out, in int) bool {
	return out > 0 && l.Out == out && l.In == in && len(l.W) == out*in && len(l.B) == out
}
