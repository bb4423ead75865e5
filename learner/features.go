package learner

import (
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/internal/engine"
)

// What a head sees of a text is its pooled embedding or, with Env.Features, φ: the mean states
// after several blocks. An adapter changes those after its own block and above, the lower ones are
// the text's alone.

// width is how many values a head sees.
func (env Env) width() int {
	if env.Features == nil {
		return env.Encoder.Hidden()
	}
	return env.Features.Dim()
}

// checkHead wants one over what there is to see.
func (env Env) checkHead(hidden int) error {
	if hidden != env.width() {
		return fmt.Errorf("%w: a head over %d values, there are %d", ErrConfig, hidden, env.width())
	}
	f := env.Features
	if f == nil {
		return nil
	}
	n := len(f.Taps)
	if n == 0 || f.Taps[n-1] != env.Encoder.Blocks() || !slices.IsSorted(f.Taps) || f.Taps[0] < 0 ||
		f.Hidden != env.Encoder.Hidden() || len(f.Mean) != f.Dim() || len(f.Scale) != n {
		return fmt.Errorf("%w: features of the blocks %v of %d values; the encoder has L=%d, d=%d", ErrConfig, f.Taps,
			f.Hidden, env.Encoder.Blocks(), env.Encoder.Hidden())
	}
	return nil
}

// taps are the blocks of φ that an adapter in block from or above leaves alone, and those that it
// changes.
func (env Env) taps(from int) (below, above []int) {
	if env.Features == nil {
		return nil, nil
	}
	n, _ := slices.BinarySearch(env.Features.Taps, from+1)
	return env.Features.Taps[:n], env.Features.Taps[n:]
}

// overFeatures is a loss of φ as one of the states above each row's below.
func (env Env) overFeatures(below [][]float32, loss engine.Loss) engine.Loss {
	if env.Features == nil {
		return loss
	}
	return func(row int, x, dx []float32) {
		phi := env.Features.Phi(make([]float32, 0, env.width()), slices.Concat(below[row], x))
		dphi := make([]float32, len(phi))
		loss(row, phi, dphi)
		env.Features.Gradient(dx, dphi)
	}
}

// headRate is the rate of a head's weights, which a configuration says of the pooled embedding: the
// last block's part of φ is that times a scale, so its weights are as much larger.
func (env Env) headRate(rate float64) float64 {
	if env.Features == nil {
		return rate
	}
	return rate / float64(env.Features.Factor(len(env.Features.Taps)-1))
}
