//go:build cgo

package learner

import (
	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// output is the head during training: its weights, the profile's label bias, and the prior that is added and not trained.
type output struct {
	head  *model.Head // a copy, when it is trained
	prior []float32
	parts []*param // W, B and, with two layers, W1, B1; empty for a frozen head
	bias  *param   // nil without
}

func newOutput(c Config, j *Job) *output {
	o := &output{head: j.Head, prior: j.Prior}
	if c.Head {
		o.head = j.Head.Clone()
		o.parts = []*param{newParam(o.head.W, c.HeadRate), newParam(o.head.B, c.HeadRate)}
		if o.head.W1 != nil {
			o.parts = append(o.parts, newParam(o.head.W1, c.HeadRate), newParam(o.head.B1, c.HeadRate))
		}
	}
	if c.Bias {
		value := make([]float32, o.head.Outputs())
		copy(value, j.Start.Bias)
		o.bias = newParam(value, c.BiasRate)
	}
	return o
}

func (o *output) params() []*param {
	if o.bias == nil {
		return o.parts
	}
	return append(append([]*param(nil), o.parts...), o.bias)
}

// logits of pooled embeddings [B,H]: [B,C]. Its leaves are in the order of params.
func (o *output) logits(s *torch.Scope, x torch.Tensor) (torch.Tensor, []torch.Tensor) {
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
	if o.prior != nil {
		z = s.Add(z, s.Float32s(o.prior, C))
	}
	if o.bias != nil {
		z = s.Add(z, v.add(s.Float32s(o.bias.value, C)))
	}
	return z, v.list
}

func (o *output) backward(s *torch.Scope, grads []torch.Tensor) error {
	for _, p := range o.params() {
		if err := read(s, &grads, p.grad); err != nil {
			return err
		}
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

// offset is what is added to the head's logits: prior plus bias.
func (o *output) offset() []float32 {
	if o.prior == nil && o.bias == nil {
		return nil
	}
	sum := make([]float32, o.head.Outputs())
	for i := range sum {
		if o.prior != nil {
			sum[i] += o.prior[i]
		}
		if o.bias != nil {
			sum[i] += o.bias.value[i]
		}
	}
	return sum
}
