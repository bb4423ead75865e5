package model

import (
	"fmt"
	"math/bits"
	"strings"
)

// Activation is what stands between an adapter's two projections.
type Activation uint8

const (
	Identity Activation = iota // X-PEFT
	ReLU                       // AdapterHub
)

// NormEps is LN_b's ε.
const NormEps = 1e-5

// Adapter is one adapter of the encoder's last Blocks blocks, b = Bottleneck: Down is [Blocks,d,b],
// Up [Blocks,b,d], the biases [Blocks,b] and [Blocks,d], Norm LN_b's affine, [Blocks,2,b]. What the
// adapter does not have is nil. In block l it makes y = LN(Up·act(LN_b(Down·h)) + r) of the block's
// r = f + a and h = LN(r), where LN is the block's own outer norm.
//
// With Targets it is a LoRA instead, of rank b by their number: Down and Up alone. The first rank
// columns of Down and rows of Up are the first target's A and B, and so on, and what that projects
// the block's input x to gains (x·A)·B before attention sees it.
type Adapter struct {
	Blocks, Bottleneck               int
	Activation                       Activation
	Targets                          Targets
	Down, Up, DownBias, UpBias, Norm []float32
}

// Zero is an adapter of the same shape, of zeros.
func (a *Adapter) Zero() *Adapter {
	zeros := func(of []float32) []float32 {
		if of == nil {
			return nil
		}
		return make([]float32, len(of))
	}
	return &Adapter{Blocks: a.Blocks, Bottleneck: a.Bottleneck, Activation: a.Activation, Targets: a.Targets,
		Down: zeros(a.Down), Up: zeros(a.Up), DownBias: zeros(a.DownBias), UpBias: zeros(a.UpBias), Norm: zeros(a.Norm)}
}

// Reach is how many of the last blocks a pass must run through from a block's residual sum on: a
// LoRA changes a block before that, so it needs the one below.
func (a *Adapter) Reach() int {
	if a.Targets != 0 {
		return a.Blocks + 1
	}
	return a.Blocks
}

// check refuses what does not fit a model of so many blocks of d values, whose pass begins with
// block from's residual sum, or with the embeddings if that is -1.
func (a *Adapter) check(blocks, from, d int) error {
	n := a.Blocks * a.Bottleneck
	ok := a.Blocks >= 1 && a.Blocks <= blocks && a.Reach() <= blocks-from && a.Bottleneck >= 1 && a.lora() &&
		len(a.Down) == n*d && len(a.Up) == n*d &&
		(a.DownBias == nil || len(a.DownBias) == n) && (a.UpBias == nil || len(a.UpBias) == a.Blocks*d) &&
		(a.Norm == nil || len(a.Norm) == 2*n)
	if !ok {
		return fmt.Errorf("model: an adapter of %d blocks, b=%d, that does not fit %d blocks of %d values", a.Blocks,
			a.Bottleneck, blocks-max(from, 0), d)
	}
	return nil
}

// lora says whether an adapter with targets has what a LoRA can have.
func (a *Adapter) lora() bool {
	return a.Targets == 0 || a.Targets.Valid() && a.Bottleneck%a.Targets.Count() == 0 && a.Activation == Identity &&
		a.DownBias == nil && a.UpBias == nil && a.Norm == nil
}

// Targets are the projections of a block's attention that an adapter adds to, as bits. One that has
// them is a LoRA; none makes it a bottleneck adapter, after the block.
type Targets uint8

const (
	Query Targets = 1 << iota
	Key
	Value
)

var targetNames = [...]string{"query", "key", "value"}

// Count is how many there are.
func (t Targets) Count() int { return bits.OnesCount8(uint8(t)) }

// Valid says whether there are no others than the three.
func (t Targets) Valid() bool { return t <= Query|Key|Value }

// Names are those of the projections, in the order of the bits.
func (t Targets) Names() []string {
	names := []string{}
	for i, name := range targetNames {
		if t>>i&1 != 0 {
			names = append(names, name)
		}
	}
	return names
}

// String is the names, joined by commas.
func (t Targets) String() string { return strings.Join(t.Names(), ",") }
