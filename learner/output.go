package learner

import (
	"math"
	"math/rand/v2"

	"github.com/xpeft/xpeft/internal/dense"
	"github.com/xpeft/xpeft/model"
)

// output is what gives a profile its labels during training: a head, the profile's prior, which
// is added and not trained, and its label bias.
type output struct {
	head  *model.Head // a copy, where it is trained; outputs that share a head share its parts
	parts []*param    // of the head: W, B and, with two layers, W1, B1; none of a frozen one
	prior []float32   // nil: none
	bias  *param      // nil: none
}

func newOutput(c Config, j *Job) *output {
	o := &output{head: j.Head, prior: j.Prior}
	if c.Head {
		o.train(c.HeadRate, j.Rows)
	}
	if c.Bias {
		value := make([]float32, j.Head.Outputs())
		copy(value, j.Start.Bias)
		o.bias = newParam(value, c.BiasRate)
	}
	return o
}

// train makes a copy of the head and trains that, or its last rows alone.
func (o *output) train(rate float64, rows int) {
	h := o.head.Clone()
	weights := [][]float32{h.W, h.B}
	if h.W1 != nil {
		weights = append(weights, h.W1, h.B1)
	}
	o.head, o.parts = h, make([]*param, len(weights))
	for i, w := range weights {
		fixed := 0
		switch {
		case rows > 0 && i == 0:
			fixed = len(w) - rows*h.Hidden
		case rows > 0:
			fixed = len(w)
		}
		o.parts[i] = newParam(w[fixed:], rate)
	}
}

func (o *output) params() []*param {
	if o.bias == nil {
		return o.parts
	}
	return append(o.parts[:len(o.parts):len(o.parts)], o.bias)
}

// offset is what is added to the head's logits: prior plus bias; nil for nothing.
func (o *output) offset() []float32 {
	if o.prior == nil && o.bias == nil {
		return nil
	}
	sum := make([]float32, o.head.Outputs())
	copy(sum, o.prior)
	if o.bias != nil {
		dense.Axpy(sum, 1, o.bias.value)
	}
	return sum
}

// lossOf is the loss of logits z, which it replaces by its gradient: a regressor's squared error,
// −log p of the label, or −log(1 − p) of one that is rejected, for p = softmax(z).
func lossOf(h *model.Head, z []float32, e Example) float32 {
	if h.Regression() {
		off := z[0] - e.Target
		z[0] = 2 * off
		return off * off
	}
	all, rest := logSum(z, -1), 0.0
	loss := all - float64(z[e.Class])
	if e.Rejected {
		rest = logSum(z, e.Class)
		loss = all - rest
	}
	for i, x := range z {
		g := math.Exp(float64(x) - all)
		switch {
		case !e.Rejected && i == e.Class:
			g--
		case e.Rejected && i != e.Class:
			g -= math.Exp(float64(x) - rest)
		}
		z[i] = float32(g)
	}
	return float32(loss)
}

// logSum is log Σ exp z over all labels but one.
func logSum(z []float32, but int) float64 {
	top, sum := math.Inf(-1), 0.0
	for i, x := range z {
		if i != but {
			top = math.Max(top, float64(x))
		}
	}
	for i, x := range z {
		if i != but {
			sum += math.Exp(float64(x) - top)
		}
	}
	return top + math.Log(sum)
}

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
