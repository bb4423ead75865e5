package eval

import (
	"context"
	"slices"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// Mode is one way of serving a new person.
type Mode struct {
	Name     string
	About    string
	Settings []Setting // tried on the development people; the best is used. One: nothing is chosen.

	// One of the two: for each new person, or for all at once.
	serve    func(context.Context, *World, *Part, Setting) (served, error)
	serveAll func(context.Context, *World, []*Part, Setting) ([]served, error)
}

// Setting is a mode's, in words and in values.
type Setting struct {
	Name    string
	Alpha   float64 // strength of the label prior
	K       int     // neighbours of knn
	Bank    Bank
	Config  learner.Config
	Service Service // of the SDK's modes
}

// Bank says which one a mode of masks uses.
type Bank struct {
	Kind       string // random, shaped or apart
	N          int
	Blocks     int // the encoder's last ones, which get adapters; 0: all
	Bottleneck int
	Sigma      float64 // σ_B of a random or shaped bank
}

// served is what a mode made of a person's training texts.
type served struct {
	predicted []int // classes of the test texts
	bytes     int
	seconds   float64 // to learn and to answer
	mask      *bitmask.Mask
}

// Modes are all that can be run, in the order of the tables.
func Modes() []Mode { return slices.Concat(sdkModes(), plainModes(), ownModes(), maskModes()) }

// predict are the classes that a head sees in embeddings [n,d], with an offset added to its logits.
func predict(h *model.Head, offset, x []float32) []int {
	out := make([]int, len(x)/h.Hidden)
	var z []float32
	for i := range out {
		z = h.Logits(z[:0], x[i*h.Hidden:(i+1)*h.Hidden])
		for c := range offset {
			z[c] += offset[c]
		}
		for c := range z {
			if z[c] > z[out[i]] {
				out[i] = c
			}
		}
	}
	return out
}

// under embeds a part's test texts with a folded adapter.
func (w *World) under(ctx context.Context, b *bank.Bank, m *bitmask.Mask, affine []float32, p *Part) ([]float32,
	error) {
	_, test, err := p.prepare(ctx, w.env(b))
	if err != nil {
		return nil, err
	}
	f, err := b.Fold(m, affine)
	if err != nil {
		return nil, err
	}
	return test.Embed(ctx, w.env(b), f)
}

func plus(a, b []float32) []float32 {
	if a == nil || b == nil {
		return append(append([]float32(nil), a...), b...)
	}
	out := slices.Clone(a)
	for i := range b {
		out[i] += b[i]
	}
	return out
}
