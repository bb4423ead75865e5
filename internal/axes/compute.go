package axes

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/internal/half"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/philox"
	"github.com/xpeft/xpeft/model"
)

// How many strings of how many words axes are made of. No corpus is needed: what texts differ in
// most is much the same for strings of random words.
const (
	axesStrings = 3000
	axesWords   = 8
)

// Config says which axes are made.
type Config struct {
	Taps   []int // blocks, ascending; 0 is the embeddings' output
	Hidden int
	Count  int // A; fewer are made if the states vary along fewer
	Digits int
	Words  []string // whole words of the vocabulary
	Seed   uint64
}

// Default are of the last four blocks, 256 of two digits: 64 bytes a row. A small encoder has
// fewer.
func Default(blocks, hidden int) Config {
	c := Config{Hidden: hidden, Digits: 2, Seed: 1}
	for t := max(0, blocks-3); t <= blocks; t++ {
		c.Taps = append(c.Taps, t)
	}
	c.Count = min(256, len(c.Taps)*hidden)
	return c
}

// Compute makes the axes of an encoder: the principal axes of φ over 3,000 strings of eight random
// words, turned by a random orthogonal matrix, so that φ varies about as much along each of them.
// Nil words are those of the tokenizer. Equal states make equal axes on one processor, but on
// another sums may be rounded otherwise.
func Compute(ctx context.Context, enc *model.Encoder, tok *model.Tokenizer, c Config) (*Axes, error) {
	if c.Words == nil {
		c.Words = tok.Words()
	}
	return compute(ctx, c, func(ctx context.Context, texts []string) ([]float32, error) {
		const batch = 64
		var all []float32
		for len(texts) > 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			some := make([]model.Encoding, min(batch, len(texts)))
			for i := range some {
				tok.Encode(&some[i], texts[i], "", enc.Config().MaxPositionEmbeddings)
			}
			states, err := pooledStates(enc, some, c.Taps)
			if err != nil {
				return nil, err
			}
			all, texts = append(all, states...), texts[len(some):]
		}
		return all, nil
	})
}

// pooledStates are the bare encoder's mean states after the taps, [texts,T·d].
func pooledStates(enc *model.Encoder, texts []model.Encoding, taps []int) ([]float32, error) {
	x := make([]float32, len(texts)*enc.Hidden())
	states := make([]float32, len(taps)*len(x))
	return states, enc.Embed(texts, nil, nil, x, taps, states)
}

// compute is Compute of what gives strings their mean-pooled states after the taps, [n,T·d]; it may
// be called more than once.
func compute(ctx context.Context, c Config,
	states func(ctx context.Context, texts []string) ([]float32, error)) (*Axes, error) {
	a := &Axes{Features: model.Features{Taps: c.Taps, Hidden: c.Hidden}, Digits: c.Digits}
	if err := c.check(); err != nil {
		return nil, err
	}
	all, err := states(ctx, randomStrings(c.Words, c.Seed))
	if err != nil {
		return nil, err
	}
	if len(all) != axesStrings*a.Dim() {
		return nil, invalidf("%d states of %d strings, want %d of each", len(all), axesStrings, a.Dim())
	}
	if err := a.standardise(all); err != nil {
		return nil, err
	}
	span, err := principalSpan(ctx, a.Phi(nil, all), a.Dim(), c.Count, c.Seed)
	if err != nil {
		return nil, err
	}
	count := len(span) / a.Dim()
	turn := gaussians(c.Seed, streamTurn, count*count)
	orthonormalise(turn, count)
	a.V = rounded(timesTransposed(turn, transposed(span, a.Dim()), count))
	return a, a.check()
}

func (c *Config) check() error {
	if c.Count < 1 || len(c.Words) == 0 {
		return invalidf("%d of %d words", c.Count, len(c.Words))
	}
	for _, t := range c.Taps {
		if t < 0 || t > bank.MaxTap {
			return invalidf("tap %d, want 0 to %d", t, bank.MaxTap)
		}
	}
	shape := Axes{Features: model.Features{Taps: c.Taps, Hidden: c.Hidden}}
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
	keys := philox.New(seed)
	draw := func(w uint32) string { return words[uint64(w)*uint64(len(words))>>32] }
	texts := make([]string, axesStrings)
	for i := range texts {
		w0, w1, w2, w3 := keys.Block(0, uint32(i), 0, streamWords)
		w4, w5, w6, w7 := keys.Block(1, uint32(i), 0, streamWords)
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
	a.Mean = numeric.Narrow(mean)
	square := make([]float64, len(a.Taps))
	for i, x := range states {
		d := float64(x) - float64(a.Mean[i%dim])
		square[i%dim/a.Hidden] += d * d / float64(n)
	}
	a.Scale = make([]float32, len(a.Taps))
	for t, s := range square {
		a.Scale[t] = float32(1 / math.Sqrt(s))
		if !(s > 0 && a.Scale[t] <= maxValue) { // a NaN is not
			return invalidf("the states after block %d have the variance %g", a.Taps[t], s)
		}
	}
	return nil
}

// rounded is v as float16 holds it.
func rounded(v []float64) []float32 {
	out := numeric.Narrow(v)
	for i, x := range out {
		out[i] = half.To(half.From(x))
	}
	return out
}
