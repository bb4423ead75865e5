package bank

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/internal/half"
)

// How many strings of how many words axes are made of. No corpus is needed: what texts differ in
// most is much the same for strings of random words.
const (
	axesStrings = 3000
	axesWords   = 8
)

// AxesConfig says which axes ComputeAxes makes.
type AxesConfig struct {
	Taps   []int // blocks, ascending; 0 is the embeddings' output
	Hidden int
	Count  int // A; fewer are made if the states vary along fewer
	Digits int
	Words  []string // whole words of the vocabulary
	Seed   uint64
}

// DefaultAxes are of the last four blocks, 256 of two digits: 64 bytes a row. A small encoder has
// fewer.
func DefaultAxes(blocks, hidden int) AxesConfig {
	c := AxesConfig{Hidden: hidden, Digits: 2, Seed: 1}
	for t := max(0, blocks-3); t <= blocks; t++ {
		c.Taps = append(c.Taps, t)
	}
	c.Count = min(256, len(c.Taps)*hidden)
	return c
}

// ComputeAxes makes axes of an encoder: the principal axes of φ over 3,000 strings of eight random
// words, turned by a random orthogonal matrix, so that φ varies about as much along each of them.
// states returns the mean-pooled states after the taps, [n,T·d]; it may be called more than once.
// Equal states make equal axes on one processor, but on another sums may be rounded otherwise.
func ComputeAxes(ctx context.Context, c AxesConfig,
	states func(ctx context.Context, texts []string) ([]float32, error)) (*Axes, error) {
	a := &Axes{Taps: c.Taps, Hidden: c.Hidden, Digits: c.Digits}
	if err := c.check(); err != nil {
		return nil, err
	}
	all, err := states(ctx, randomStrings(c.Words, c.Seed))
	if err != nil {
		return nil, err
	}
	if len(all) != axesStrings*a.Dim() {
		return nil, invalidf("axes: %d states of %d strings, want %d of each", len(all), axesStrings, a.Dim())
	}
	if err := a.standardise(all); err != nil {
		return nil, err
	}
	span, err := principalSpan(ctx, a.Features(nil, all), a.Dim(), c.Count, c.Seed)
	if err != nil {
		return nil, err
	}
	count := len(span) / a.Dim()
	turn := newGaussians(c.Seed, streamTurn).fill(make([]float64, count*count))
	orthonormalise(turn, count)
	a.V = rounded(timesTransposed(turn, transposed(span, a.Dim()), count))
	return a, a.check()
}

func (c *AxesConfig) check() error {
	if c.Count < 1 || len(c.Words) == 0 {
		return invalidf("axes: %d of %d words", c.Count, len(c.Words))
	}
	for _, t := range c.Taps {
		if t < 0 || t > MaxTap {
			return invalidf("axes: tap %d, want 0 to %d", t, MaxTap)
		}
	}
	shape := Axes{Taps: c.Taps, Hidden: c.Hidden}
	p := shape.Properties()
	p.Digits, p.N = c.Digits, 2*c.Count*c.Digits
	if err := p.Validate(); err != nil {
		return err
	}
	if c.Count >= axesStrings {
		return invalidf("%d axes of %d strings", c.Count, axesStrings)
	}
	return nil
}

// randomStrings draws words with replacement.
func randomStrings(words []string, seed uint64) []string {
	keys := newPhiloxKeys(uint32(seed), uint32(seed>>32))
	draw := func(w uint32) string { return words[uint64(w)*uint64(len(words))>>32] }
	texts := make([]string, axesStrings)
	for i := range texts {
		w0, w1, w2, w3 := keys.block(0, uint32(i), 0, streamWords)
		w4, w5, w6, w7 := keys.block(1, uint32(i), 0, streamWords)
		text := draw(w0)
		for _, w := range [axesWords - 1]uint32{w1, w2, w3, w4, w5, w6, w7} {
			text += " " + draw(w)
		}
		texts[i] = text
	}
	return texts
}

// standardise sets Mean and Scale so that of each tap the states have mean 0 and mean square 1.
func (a *Axes) standardise(states []float32) error {
	dim, n := a.Dim(), len(states)/a.Dim()
	mean := make([]float64, dim)
	for i, x := range states {
		mean[i%dim] += float64(x) / float64(n)
	}
	a.Mean = make([]float32, dim)
	for i, m := range mean {
		a.Mean[i] = float32(m)
	}
	square := make([]float64, len(a.Taps))
	for i, x := range states {
		d := float64(x) - float64(a.Mean[i%dim])
		square[i%dim/a.Hidden] += d * d / float64(n)
	}
	a.Scale = make([]float32, len(a.Taps))
	for t, s := range square {
		a.Scale[t] = float32(1 / math.Sqrt(s))
		if !(s > 0 && a.Scale[t] <= maxAxesValue) { // a NaN is not
			return invalidf("axes: the states after block %d have the variance %g", a.Taps[t], s)
		}
	}
	return nil
}

// rounded is v as float16 holds it.
func rounded(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = half.To(half.From(float32(x)))
	}
	return out
}
