//go:build cgo

package learner

import (
	"slices"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// output is what gives labels during training: a head that all profiles share, or one of each; each profile's label bias; and its prior, which is added and not trained.
type output struct {
	heads  []*model.Head // one, or one a profile: then they are of one kind, but may differ in labels; copies, where they are trained
	parts  [][]*param    // of each head: W, B and, with two layers, W1, B1; none for frozen heads
	priors [][]float32   // one a profile; nil: none
	biases []*param      // one a profile, or none
}

func newOutput(c Config, j *Job) *output {
	o := &output{heads: []*model.Head{j.Head}, priors: [][]float32{j.Prior}}
	if c.Head {
		o.train(c.HeadRate, j.Rows)
	}
	if c.Bias {
		value := make([]float32, j.Head.Outputs())
		copy(value, j.Start.Bias)
		o.biases = []*param{newParam(value, c.BiasRate)}
	}
	return o
}

// train makes a copy of the only head and trains that, or its last rows alone.
func (o *output) train(rate float64, rows int) {
	h := o.heads[0].Clone()
	weights := [][]float32{h.W, h.B}
	if h.W1 != nil {
		weights = append(weights, h.W1, h.B1)
	}
	parts := make([]*param, len(weights))
	for i, w := range weights {
		fixed := 0
		switch {
		case rows > 0 && i == 0:
			fixed = len(w) - rows*h.Hidden
		case rows > 0:
			fixed = len(w)
		}
		parts[i] = newParam(w[fixed:], rate)
		parts[i].fixed = fixed
	}
	o.heads, o.parts = []*model.Head{h}, [][]*param{parts}
}

// joinOutputs is one output of several profiles, out of one of each. A frozen head that all share stays one.
func joinOutputs(each []*output) *output {
	o := &output{}
	for _, x := range each {
		o.heads, o.parts = append(o.heads, x.heads...), append(o.parts, x.parts...)
		o.priors, o.biases = append(o.priors, x.priors...), append(o.biases, x.biases...)
	}
	if o.parts == nil && !slices.ContainsFunc(o.heads, func(h *model.Head) bool { return h != o.heads[0] }) {
		o.heads = o.heads[:1]
	}
	return o
}

func (o *output) params() (ps []*param) {
	for _, parts := range o.parts {
		ps = append(ps, parts...)
	}
	return append(ps, o.biases...)
}

// outputs is C, of the head with the most labels.
func (o *output) outputs() (most int) {
	for _, h := range o.heads {
		most = max(most, h.Outputs())
	}
	return most
}

// fold makes W [C,d], B [C] and, with two layers, W1 [d,d], B1 [d], of each profile where it has its own; then what is added to the logits, [P,C]: priors, if there
// are any, and biases. Labels that a head does not have are out of reach.
func (o *output) fold(s *torch.Scope) (parts []part) {
	const none = -1e30
	C, d, P := o.outputs(), o.heads[0].Hidden, len(o.priors)
	weights := func(of func(*model.Head) []float32, shape ...int) {
		parts = append(parts, part{o.stack(s, of, shape), o.parts != nil, len(o.heads) > 1})
	}
	weights(func(h *model.Head) []float32 { return h.W }, C, d)
	weights(func(h *model.Head) []float32 { return h.B }, C)
	if o.heads[0].W1 != nil {
		weights(func(h *model.Head) []float32 { return h.W1 }, d, d)
		weights(func(h *model.Head) []float32 { return h.B1 }, d)
	}
	added, some := make([]float32, P*C), false
	for i, prior := range o.priors {
		some = some || prior != nil
		for c := copy(added[i*C:(i+1)*C], prior); c < C; c++ {
			if c >= o.head(i).Outputs() {
				added[i*C+c], some = none, true
			}
		}
	}
	if some {
		parts = append(parts, part{s.Float32s(added, int64(P), int64(C)), false, true})
	}
	if o.biases != nil {
		flat := make([]float32, P*C)
		for i, b := range o.biases {
			copy(flat[i*C:], b.value)
		}
		parts = append(parts, part{s.Float32s(flat, int64(P), int64(C)), true, true})
	}
	return parts
}

// head of a profile.
func (o *output) head(profile int) *model.Head {
	if len(o.heads) == 1 {
		return o.heads[0]
	}
	return o.heads[profile]
}

// stack makes one tensor of a part of all heads, each filled up with zeros to shape; of a single head without a dimension for it.
func (o *output) stack(s *torch.Scope, of func(*model.Head) []float32, shape []int) torch.Tensor {
	n, dims := 1, []int64{}
	if len(o.heads) > 1 {
		dims = append(dims, int64(len(o.heads)))
	}
	for _, x := range shape {
		n, dims = n*x, append(dims, int64(x))
	}
	return s.FillFloat32s(func(dst []float32) {
		for i, h := range o.heads {
			row := dst[i*n : (i+1)*n]
			clear(row[copy(row, of(h)):])
		}
	}, dims...)
}

// logits of pooled embeddings [B,H]: [B,C].
func (o *output) logits(s *torch.Scope, x torch.Tensor, parts rowParts) torch.Tensor {
	linear := s.Linear
	if len(o.heads) > 1 {
		linear = func(x, w, b torch.Tensor) torch.Tensor { // w [B,out,in]
			return s.Add(s.View(s.BMM(w, s.Unsqueeze(x, 2)), s.Shape(b)...), b)
		}
	}
	w, b := parts.next(), parts.next()
	if o.heads[0].W1 != nil {
		x = s.Tanh(linear(x, parts.next(), parts.next()))
	}
	z := linear(x, w, b)
	for len(parts.list) > 0 {
		z = s.Add(z, parts.next())
	}
	return z
}

// backward takes the trained parts' gradients, in fold's order.
func (o *output) backward(s *torch.Scope, grads []torch.Tensor) error {
	for i := 0; o.parts != nil && i < len(o.parts[0]); i++ {
		ps := make([]*param, len(o.parts))
		for k, parts := range o.parts {
			ps[k] = parts[i]
		}
		if err := readEach(s, &grads, ps); err != nil {
			return err
		}
	}
	if o.biases == nil {
		return nil
	}
	return readEach(s, &grads, o.biases)
}

// readEach hands each param its row of the next gradient, [P,…], which may be longer, less what is fixed.
func readEach(s *torch.Scope, grads *[]torch.Tensor, ps []*param) error {
	widest := 0
	if g := (*grads)[0]; g.Defined() {
		widest = int(s.Numel(g)) / len(ps)
	}
	flat := make([]float32, widest*len(ps))
	if err := read(s, grads, flat); err != nil {
		return err
	}
	for i, p := range ps {
		clear(p.grad[copy(p.grad, flat[min(i*widest+p.fixed, len(flat)):]):])
	}
	return nil
}

// loss of each row: the cross-entropy, or a regressor's squared error, [B].
func (o *output) loss(s *torch.Scope, z torch.Tensor, examples []Example) torch.Tensor {
	n := int64(len(examples))
	if o.heads[0].Regression() {
		y := make([]float32, n)
		for i, e := range examples {
			y[i] = e.Target
		}
		off := s.Sub(s.View(z, n), s.Float32s(y, n))
		return s.Mul(off, off)
	}
	y, rejected := make([]int64, n), false
	for i, e := range examples {
		y[i] = int64(e.Class)
		if e.Rejected { // any other label will do
			y[i], rejected = int64(max(e.Class-1, 1-e.Class)), true
		}
	}
	loss := s.CrossEntropy(z, s.Int64s(y, n))
	if rejected {
		loss = s.Sub(loss, o.without(s, z, y, examples))
	}
	return loss
}

// without is, for the rows that reject a label c, the cross-entropy of a label k once c is out of reach; 0 for the others. As −log(1 − p_c) is
// log Σ exp z − log Σ_{i≠c} exp z_i, it is the cross-entropy of k less this one, whichever k is.
func (o *output) without(s *torch.Scope, z torch.Tensor, y []int64, examples []Example) torch.Tensor {
	const none = -1e30
	n, C := len(examples), int(s.Shape(z)[1])
	reach, of := make([]float32, n*C), make([]float32, n)
	for i, e := range examples {
		if e.Rejected {
			reach[i*C+e.Class], of[i] = none, 1
		}
	}
	left := s.CrossEntropy(s.Add(z, s.Float32s(reach, int64(n), int64(C))), s.Int64s(y, int64(n)))
	return s.Mul(left, s.Float32s(of, int64(n)))
}

// offset is what is added to the head's logits for the only profile: prior plus bias.
func (o *output) offset() []float32 {
	if o.priors[0] == nil && o.biases == nil {
		return nil
	}
	sum := make([]float32, o.heads[0].Outputs())
	copy(sum, o.priors[0])
	for _, p := range o.biases {
		for i := range sum {
			sum[i] += p.value[i]
		}
	}
	return sum
}
