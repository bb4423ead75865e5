package learner

import "math"

// param is one group of trained values, kept in Go: a profile has a few thousand, and exact resume
// needs only these slices.
type param struct {
	value, grad, m, v []float32
	rate              float64
}

func newParam(value []float32, rate float64) *param {
	n := len(value)
	rest := make([]float32, 3*n)
	return &param{value: value, grad: rest[:n:n], m: rest[n : 2*n : 2*n], v: rest[2*n:], rate: rate}
}

// adamW is decoupled weight decay (Loshchilov & Hutter 2019), as in PyTorch: β 0.9 and 0.999, ε
// 1e-8.
type adamW struct {
	params []*param
	decay  float64
	step   int
}

// update takes one step with every rate multiplied by scale.
func (o *adamW) update(scale float64) {
	const beta1, beta2, eps = 0.9, 0.999, 1e-8
	o.step++
	correct1 := 1 - math.Pow(beta1, float64(o.step))
	correct2 := math.Sqrt(1 - math.Pow(beta2, float64(o.step)))
	for _, p := range o.params {
		rate := p.rate * scale
		keep, size := float32(1-rate*o.decay), float32(rate/correct1)
		for i, g := range p.grad {
			m := p.m[i] + (1-beta1)*(g-p.m[i])
			v := beta2*p.v[i] + (1-beta2)*g*g
			p.m[i], p.v[i] = m, v
			root := float32(math.Sqrt(float64(v)))/float32(correct2) + eps
			p.value[i] = p.value[i]*keep - size*m/root
		}
	}
}
