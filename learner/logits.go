package learner

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/xpeft/xpeft/bitmask"
)

// Logits are a profile's trainable scores of the adapters, [2][L][N]: all rows of the Down side,
// then all of the Up side.
type Logits struct {
	N, Blocks int
	Values    []float32
}

// NewLogits makes zeros.
func NewLogits(n, blocks int) *Logits {
	return &Logits{N: n, Blocks: blocks, Values: make([]float32, 2*blocks*n)}
}

// Row is a view of one row.
func (g *Logits) Row(side bitmask.Side, block int) []float32 {
	i := (int(side)*g.Blocks + block) * g.N
	return g.Values[i : i+g.N]
}

// clone copies.
func (g *Logits) clone() *Logits {
	return &Logits{N: g.N, Blocks: g.Blocks, Values: append([]float32(nil), g.Values...)}
}

// top are the rows of the blocks from below on, the same memory if they are all.
func (g *Logits) top(below int) *Logits {
	if below == 0 {
		return g
	}
	t := NewLogits(g.N, g.Blocks-below)
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		for l := range t.Blocks {
			copy(t.Row(side, l), g.Row(side, below+l))
		}
	}
	return t
}

// setTop puts the values of the last blocks' rows back.
func (g *Logits) setTop(values []float32) {
	n := len(values) / 2
	for side, all := range [][]float32{g.Values[:len(g.Values)/2], g.Values[len(g.Values)/2:]} {
		copy(all[len(all)-n:], values[side*n:(side+1)*n])
	}
}

// Mask is the k largest logits of every row; the lowest index wins a tie.
func (g *Logits) Mask(k int) (*bitmask.Mask, error) {
	m, err := bitmask.New(g.N, k, g.Blocks)
	if err != nil {
		return nil, err
	}
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		for l := range g.Blocks {
			if err := bitmask.TopK(g.Row(side, l), k, m.Row(side, l)); err != nil {
				return nil, fmt.Errorf("learner: logits of %v, block %d: %w", side, l, err)
			}
		}
	}
	return m, nil
}

// FromMask are logits that stand for a stored mask where no others are known: +1 for a set bit, −1
// for a clear one.
func FromMask(m *bitmask.Mask) *Logits {
	g := NewLogits(m.N, m.Blocks)
	for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
		for l := range m.Blocks {
			row, set := g.Row(side, l), m.Row(side, l)
			for i := range row {
				row[i] = -1
				if set.Get(i) {
					row[i] = 1
				}
			}
		}
	}
	return g
}

// jitter adds N(0, std²) to every logit, so that equal ones do not all tie.
func (g *Logits) jitter(std float64, rng *rand.Rand) {
	if std == 0 {
		return
	}
	for i := range g.Values {
		g.Values[i] += float32(std * rng.NormFloat64())
	}
}

// gumbel fills dst with draws of −log(−log u).
func gumbel(dst []float32, rng *rand.Rand) {
	for i := range dst {
		u := rng.Float64()
		for u == 0 {
			u = rng.Float64()
		}
		dst[i] = float32(-math.Log(-math.Log(u)))
	}
}

// softmaxInto writes softmax(z/τ).
func softmaxInto(dst, z []float32, tau float64) {
	top, sum := slices.Max(z), 0.0
	for i, x := range z {
		e := math.Exp(float64(x-top) / tau)
		dst[i], sum = float32(e), sum+e
	}
	scale := float32(1 / sum)
	for i := range dst {
		dst[i] *= scale
	}
}

// softmaxBackward writes ∂L/∂z for y = softmax(z/τ) and ∂L/∂y.
func softmaxBackward(dz, y, dy []float32, tau float64) {
	inner := 0.0
	for i := range y {
		inner += float64(y[i]) * float64(dy[i])
	}
	for i := range y {
		dz[i] = float32(float64(y[i]) * (float64(dy[i]) - inner) / tau)
	}
}
