package learner

import (
	"math/rand/v2"

	"github.com/xpeft/xpeft/model"
)

// headInit is the standard deviation of a new head's weights, BERT's own.
const headInit = 0.02

// NewHead is an untrained head over embeddings of d values, with weights from N(0, 0.02²) and
// no biases: linear or, as in the paper and AdapterHub, of two layers with a tanh between. No
// labels make a regressor. The same seed gives the same bits.
func NewHead(labels []string, d int, twoLayers bool, seed uint64) *model.Head {
	rng := rand.New(rand.NewPCG(seed, 0xd1b54a32d192ed03))
	weights := func(n int) []float32 {
		w := make([]float32, n)
		for i := range w {
			w[i] = float32(headInit * rng.NormFloat64())
		}
		return w
	}
	h := &model.Head{Labels: append([]string(nil), labels...), Hidden: d}
	C := h.Outputs()
	h.W, h.B, h.Counts = weights(C*d), make([]float32, C), make([]uint32, C)
	if twoLayers {
		h.W1, h.B1 = weights(d*d), make([]float32, d)
	}
	return h
}
