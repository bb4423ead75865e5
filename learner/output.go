//go:build cgo

package learner

import (
	"slices"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// output is the head during training: its weights, each profile's label bias, and each one's prior, which is added and not trained.
type output struct {
	head   *model.Head // a copy, when it is trained
	priors [][]float32 // one a profile; all nil or none
	parts  []*param    // W, B and, with two layers, W1, B1; empty for a frozen head
	biases []*param    // one a profile, or none
}

func newOutput(c Config, j *Job) *output {
	o := &output{head: j.Head, priors: [][]float32{j.Prior}}
	if c.Head {
		o.train(c.HeadRate)
	}
	if c.Bias {
		value := make([]float32, o.head.Outputs())
		copy(value, j.Start.Bias)
		o.biases = []*param{newParam(value, c.BiasRate)}
	}
	return o
}

// train makes a copy of the head and trains that.
func (o *output) train(rate float64) {
	h := o.head.Clone()
	o.head, o.parts = h, []*param{newParam(h.W, rate), newParam(h.B, rate)}
	if h.W1 != nil {
		o.parts = append(o.parts, newParam(h.W1, rate), newParam(h.B1, rate))
	}
}

func (o *output) params() []*param {
	return append(append([]*param(nil), o.parts...), o.biases...)
}

// logits of pooled embeddings [B,H]: [B,C]. Its leaves are in the order of parts, then all biases as one, [P,C]. owner says whose row each is; nil
// means that all are of the only profile.
func (o *output) logits(s *torch.Scope, x torch.Tensor, owner []int64) (torch.Tensor, []torch.Tensor) {
	h, v := o.head, leaves{scope: s}
	C, d := int64(h.Outputs()), int64(h.Hidden)
	weight := func(values []float32, shape ...int64) torch.Tensor {
		t := s.Float32s(values, shape...)
		if o.parts != nil {
			t = v.add(t)
		}
		return t
	}
	w, b := weight(h.W, C, d), weight(h.B, C)
	if h.W1 != nil {
		x = s.Tanh(s.Linear(x, weight(h.W1, d, d), weight(h.B1, d)))
	}
	z := s.Linear(x, w, b)
	each := func(t torch.Tensor) torch.Tensor { // [P,C] to what is added to z
		if owner == nil {
			return t
		}
		return s.IndexSelect(t, 0, s.Int64s(owner, int64(len(owner))))
	}
	if o.priors[0] != nil {
		z = s.Add(z, each(s.Float32s(slices.Concat(o.priors...), int64(len(o.priors)), C)))
	}
	if o.biases != nil {
		var flat []float32
		for _, p := range o.biases {
			flat = append(flat, p.value...)
		}
		z = s.Add(z, each(v.add(s.Float32s(flat, int64(len(o.biases)), C))))
	}
	return z, v.list
}

func (o *output) backward(s *torch.Scope, grads []torch.Tensor) error {
	for _, p := range o.parts {
		if err := read(s, &grads, p.grad); err != nil {
			return err
		}
	}
	if o.biases == nil {
		return nil
	}
	C := o.head.Outputs()
	flat := make([]float32, len(o.biases)*C)
	if err := read(s, &grads, flat); err != nil {
		return err
	}
	for i, p := range o.biases {
		copy(p.grad, flat[i*C:])
	}
	return nil
}

// loss is the mean cross-entropy, or the mean squared error of a regressor.
func (o *output) loss(s *torch.Scope, z torch.Tensor, examples []Example) torch.Tensor {
	n := int64(len(examples))
	if o.head.Regression() {
		y := make([]float32, n)
		for i, e := range examples {
			y[i] = e.Target
		}
		return s.MSE(s.View(z, n), s.Float32s(y, n))
	}
	y := make([]int64, n)
	for i, e := range examples {
		y[i] = int64(e.Class)
	}
	return s.CrossEntropy(z, s.Int64s(y, n))
}

// offset is what is added to the head's logits for the only profile: prior plus bias.
func (o *output) offset() []float32 {
	if o.priors[0] == nil && o.biases == nil {
		return nil
	}
	sum := make([]float32, o.head.Outputs())
	copy(sum, o.priors[0])
	for _, p := range o.biases {
		for i := range sum {
			sum[i] += p.value[i]
		}
	}
	return sum
}
