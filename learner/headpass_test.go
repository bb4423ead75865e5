package learner

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestHeadGradients compares the gradients of heads, biases and embeddings with differences of the
// loss: one layer and two, a head that two profiles share, and one of a profile's own rows.
func TestHeadGradients(t *testing.T) {
	const d, n = 6, 5
	for _, two := range []bool{false, true} {
		for _, rows := range []int{0, 2} {
			rng := rand.New(rand.NewPCG(1, 2))
			h := NewHead([]string{"a", "b", "c"}, d, two, 1)
			for _, part := range [][]float32{h.W, h.B, h.W1, h.B1} {
				for i := range part {
					part[i] = float32(rng.NormFloat64() * 0.5)
				}
			}
			first := newOutput(Config{Head: true, Bias: true},
				&Job{Head: h, Rows: rows, Prior: []float32{0.3, 0, -0.2}})
			second := *first
			second.prior, second.bias = nil, newParam(make([]float32, 3), 0)
			b := batch{owner: []int{1, 0, 1, 0, 0}}
			x := make([]float32, n*d)
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			for i := range n {
				b.examples = append(b.examples, Example{Class: i % 3, Rejected: i == 3})
			}
			run := func() (sum float64, dx []float32) {
				passes := newHeadPasses([]*output{first, &second}, &b)
				dx = make([]float32, n*d)
				for i, share := range b.weights() {
					loss := passes[b.of(i)].row(i, b.examples[i], share, x[i*d:(i+1)*d], dx[i*d:(i+1)*d])
					sum += float64(share) * float64(loss)
				}
				backward(passes)
				return sum, dx
			}
			_, dx := run()
			check := func(name string, values, grad []float32) {
				for i, got := range append([]float32(nil), grad...) {
					const step = 0.01
					v := values[i]
					values[i] = v + step
					up, _ := run()
					values[i] = v - step
					down, _ := run()
					values[i] = v
					if want := (up - down) / (2 * step); math.Abs(float64(got)-want) > 2e-4+0.05*math.Abs(want) {
						t.Errorf("two layers %t, %d rows: %s[%d]: got a gradient of %g, differences say %g",
							two, rows, name, i, got, want)
					}
				}
			}
			run()
			for i, p := range first.parts {
				check([]string{"W", "B", "W1", "B1"}[i], p.value, p.grad)
			}
			check("bias", first.bias.value, first.bias.grad)
			check("second bias", second.bias.value, second.bias.grad)
			check("x", x, dx)
		}
	}
}
