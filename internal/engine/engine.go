// Package engine says what learning needs of whoever computes: states of texts and gradients of
// adapters. An Engine belongs to one model.Encoder. The native one needs nothing but Go; the
// libtorch one is for GPUs and for adapters in all blocks.
//
// # Concurrency
//
// An Engine is safe for concurrent use. Its results do not depend on the number of threads.
package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/model"
)

var (
	// ErrNoCUDA marks a device that is not here, or that the program was built without.
	ErrNoCUDA = errors.New("engine: no CUDA device")
	// ErrUntrainable marks an adapter in more blocks than the engine can train, or a LoRA.
	ErrUntrainable = errors.New("engine: cannot train this adapter")
)

// Rows are texts, each with the adapter that it goes through.
type Rows struct {
	Texts []model.Encoding
	Owner []int       // whose adapter each row has; nil: all have adapters[0]
	From  int         // the block of the first adapter; the one below a LoRA's, which is -1 for the embeddings
	Stems [][]float32 // nil, or of each row its states [tokens,d] below block From's adapter; a nil entry is computed
}

// Check says what does not fit in rows for an engine of a model of d values. It returns whose
// adapter each row has, nil where all are bare.
func (r Rows) Check(engine string, adapters, d int) (owner []int, err error) {
	bad := func(format string, args ...any) ([]int, error) { return nil, fmt.Errorf(engine+": "+format, args...) }
	if owner = r.Owner; owner == nil && adapters > 0 {
		owner = make([]int, len(r.Texts))
	}
	if owner != nil && len(owner) != len(r.Texts) {
		return bad("%d owners of %d texts", len(owner), len(r.Texts))
	}
	for i, o := range owner {
		if o < 0 || o >= adapters {
			return bad("row %d has adapter %d of %d", i, o, adapters)
		}
	}
	if r.Stems != nil && len(r.Stems) != len(r.Texts) {
		return bad("stems of %d of %d texts", len(r.Stems), len(r.Texts))
	}
	for i, x := range r.Stems {
		if want := len(r.Texts[i].IDs) * d; x != nil && (len(x) != want || want == 0) {
			return bad("row %d has a stem of %d values, want %d", i, len(x), want)
		}
	}
	return owner, nil
}

// Filled are the rows' stems; the engine computes those that r does not bring.
func (r Rows) Filled(ctx context.Context, e Engine) ([][]float32, error) {
	stems := make([][]float32, len(r.Texts))
	copy(stems, r.Stems)
	var missing []int
	var texts []model.Encoding
	for i, x := range stems {
		if x == nil {
			missing, texts = append(missing, i), append(texts, r.Texts[i])
		}
	}
	if len(missing) == 0 {
		return stems, nil
	}
	made, err := e.Stems(ctx, texts, r.From, nil, nil)
	for i, x := range made {
		stems[missing[i]] = x
	}
	return stems, err
}

// Loss takes a row's pooled embedding x [d], or the states [taps·d] that are asked for instead, and
// writes the gradient of the whole loss by it into dx, of the same length. It is called once a row,
// of several rows at once.
type Loss func(row int, x, dx []float32)

// Engine computes on one device.
type Engine interface {
	Name() string   // "native", "torch"
	Device() string // "cpu", "cuda"
	// Trains says in how many of the encoder's last blocks an adapter can be trained: 1 natively,
	// all with libtorch.
	Trains() int
	// TrainsLoRA says the same of LoRAs: 0 natively, all with libtorch.
	TrainsLoRA() int
	// Stems are each text's states below block from's adapter, [tokens,d]: what no adapter in block
	// from or above changes. states [texts,taps·d] gets the mean states after taps, up to from.
	Stems(ctx context.Context, texts []model.Encoding, from int, taps []int, states []float32) ([][]float32, error)
	// Embed is model.Encoder.Embed, on all cores or the device; with r.Stems, and no taps up to
	// r.From, which is a block, it is Upper. adapters nil or a nil entry: bare.
	Embed(ctx context.Context, r Rows, adapters []*model.Adapter, x []float32, taps []int, states []float32) error
	// Gradient is the gradient of the loss by every adapter's values, summed over its rows, in
	// adapters of the same shapes. With taps, all above r.From and the last block the last of them,
	// the loss takes the mean states after these blocks, whatever the pooling is. It is
	// ErrUntrainable where an adapter has more blocks than Trains.
	Gradient(ctx context.Context, r Rows, adapters []*model.Adapter, taps []int, loss Loss) ([]*model.Adapter, error)
	Close() error
}
