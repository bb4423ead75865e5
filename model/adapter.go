package model

import "fmt"

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
type Adapter struct {
	Blocks, Bottleneck               int
	Activation                       Activation
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
	return &Adapter{Blocks: a.Blocks, Bottleneck: a.Bottleneck, Activation: a.Activation,
		Down: zeros(a.Down), Up: zeros(a.Up), DownBias: zeros(a.DownBias), UpBias: zeros(a.UpBias), Norm: zeros(a.Norm)}
}

// check refuses what does not fit a model's last blocks of d values.
func (a *Adapter) check(blocks, d int) error {
	n := a.Blocks * a.Bottleneck
	ok := a.Blocks >= 1 && a.Blocks <= blocks && a.Bottleneck >= 1 && len(a.Down) == n*d && len(a.Up) == n*d &&
		(a.DownBias == nil || len(a.DownBias) == n) && (a.UpBias == nil || len(a.UpBias) == a.Blocks*d) &&
		(a.Norm == nil || len(a.Norm) == 2*n)
	if !ok {
		return fmt.Errorf("model: an adapter of %d blocks, b=%d, that does not fit %d blocks of %d values", a.Blocks,
			a.Bottleneck, blocks, d)
	}
	return nil
}
