package model

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/xpeft/xpeft/internal/bert"
)

// Encoder is a frozen BERT. It is safe for concurrent use; its weights never change. Each pass runs
// on the calling goroutine's thread, and on those that [Encoder.UseThreads] lends it.
type Encoder struct {
	config     Config
	pooling    Pooling
	checkpoint *Checkpoint // open: most weights are views of its file
	weights    bert.Weights
	closed     atomic.Bool

	kernel    string         // which one is asked for
	precision bert.Precision // that answers are computed in
	crew      *bert.Crew     // that all passes share; nil: each runs on one thread
	exact     packing        // in float32, for all else
	answers   packing        // unless that is float32 too
}

// packing is weights that are packed at the first use.
type packing struct {
	once  sync.Once
	model *bert.Model
	err   error
}

// NewEncoder takes a checkpoint over: Close closes it. After an error it is still the caller's. F32
// weights are not copied but read where they lie in the file, F16 and BF16 ones are widened now.
// The first pass packs the large ones: 43 MB and 30 ms for MiniLM-L6.
func NewEncoder(c *Checkpoint) (*Encoder, error) {
	r := weightReader{checkpoint: c}
	w := r.weights()
	if r.err != nil {
		return nil, r.err
	}
	return &Encoder{config: c.Config, pooling: c.Pooling, checkpoint: c, weights: w}, nil
}

// Close frees the weights and closes the checkpoint. No pass may run.
func (e *Encoder) Close() error {
	if !e.closed.Swap(true) {
		for _, p := range []*packing{&e.exact, &e.answers} {
			if p.model != nil {
				p.model.Free()
			}
			p.model = nil
		}
		e.weights = bert.Weights{}
	}
	return e.checkpoint.Close()
}

// Config is the checkpoint's.
func (e *Encoder) Config() Config { return e.config }

// Checkpoint is what the encoder was made of. It is closed with the encoder.
func (e *Encoder) Checkpoint() *Checkpoint { return e.checkpoint }

// Hidden is d, the size of a state.
func (e *Encoder) Hidden() int { return e.config.HiddenSize }

// Pooling is how the states of a text's tokens become its embedding.
func (e *Encoder) Pooling() Pooling { return e.pooling }

// Blocks is L, the number of layers.
func (e *Encoder) Blocks() int { return e.config.NumHiddenLayers }

// ErrNoKernel marks a kernel that this processor, or this build, cannot run.
var ErrNoKernel = bert.ErrNoKernel

// KnownKernel says whether [Encoder.UseKernel] knows the name: "amx", "avx512", "avx2",
// "portable", or "" for the fastest that runs here.
func KnownKernel(name string) bool { return bert.KnownKernel(name) }

// Kernel says what computes on this machine, unless another is forced.
func Kernel() string {
	name, _ := bert.Kernel("")
	return name
}

// UseKernel forces a kernel. It is for before the first pass, and returns [ErrNoKernel] if that one
// does not run here.
func (e *Encoder) UseKernel(name string) error {
	_, err := bert.Kernel(name)
	if err == nil {
		e.kernel = name
	}
	return err
}

// UseThreads lets a pass use threads that no other one does, so that all passes together run on up
// to so many; passes beyond that number run on one each. It changes no bit of a result. It is for
// before the first pass; without it each pass runs on one thread. So do those in Go.
func (e *Encoder) UseThreads(n int) { e.crew = bert.NewCrew(n) }

// Busy says that the threads have other work until done is called: passes that begin before run on
// one each.
func (e *Encoder) Busy() (done func()) {
	if e.crew == nil {
		return func() {}
	}
	return e.crew.Busy()
}

// Kernel says what computes: "c-amx", "c-avx512", "c-avx2", "go-avx2", "go-neon" or "go"; nothing
// after Close.
func (e *Encoder) Kernel() string {
	if e.closed.Load() {
		return ""
	}
	name, _ := bert.Kernel(e.kernel)
	return name
}

// OuterNorm is the norm that ends a block, around the adapter's place: its affine, [d] each, and
// its ε. Do not write it; it is a view that ends with Close.
func (e *Encoder) OuterNorm(block int) (weight, bias []float32, eps float32) {
	n := e.weights.Blocks[block].FFN
	return n.Weight, n.Bias, e.weights.Eps
}

// Pooler is the layer w [d,d], b [d] of x = tanh(w·h + b), where h is [CLS]'s state: a view, as
// OuterNorm's. They are nil unless the pooling is the pooler.
func (e *Encoder) Pooler() (w, b []float32) {
	if e.weights.Pooler == nil {
		return nil, nil
	}
	return e.weights.Pooler.W, e.weights.Pooler.B
}

// packed is the model that computes in a precision, made at its first use.
func (e *Encoder) packed(in bert.Precision) (*bert.Model, error) {
	if e.closed.Load() {
		return nil, errors.New("model: the encoder is closed")
	}
	p := &e.exact
	if in != bert.Float32 {
		p = &e.answers
	}
	p.once.Do(func() {
		r, w := weightReader{checkpoint: e.checkpoint}, e.weights
		w.Blocks = append([]bert.Block(nil), w.Blocks...)
		for l := range w.Blocks {
			w.Blocks[l].QKV = r.qkv(l)
		}
		if p.err = r.err; r.err == nil {
			p.model, p.err = bert.New(w, e.kernel, in)
		}
		if p.err == nil {
			p.model.Crew = e.crew
		}
	})
	return p.model, p.err
}
