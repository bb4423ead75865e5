package digits

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// TestLogistic: of a logistic problem label 1 alone has a row and a bias, and the strongest penalty
// apart the row is the one that plain gradient descent on the log-loss finds.
func TestLogistic(t *testing.T) {
	const n, A = 40, 6
	r := rand.New(rand.NewPCG(1, 2))
	p := &Person{A: A, C: 2, Digits: 4, Logistic: true, Base: make([]float32, 2*n)}
	for i := range n {
		class := i % 2
		for j := range A {
			v := float32(r.NormFloat64())
			if j == 0 {
				v += float32(3*class) - 1.5
			}
			p.P = append(p.P, v)
		}
		p.Class = append(p.Class, class)
	}
	res, err := Learn(context.Background(), p, &Options{Lambdas: []float64{0.3}})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Labels) != 1 || res.Labels[0] != 1 || len(res.Scales) != 1 || res.Bias[0] != 0 {
		t.Errorf("got rows of %v with scales %v and biases %v, want one of label 1", res.Labels, res.Scales, res.Bias)
	}
	loss, prior := 0.0, 0.0
	for i, c := range p.Class {
		loss, prior = loss-float64(res.LogProb[2*i+c]), prior-float64(res.PriorLogProb[2*i+c])
	}
	if loss > prior/2 {
		t.Errorf("got a loss of %.3f out of fold, by the prior alone %.3f", loss, prior)
	}
	d := newData(p)
	f := newFit(d, d.everyone(), nil, biasLambda)
	f.lambda = 0.3
	x := make([]float64, d.dim+1)
	if _, err := f.solve(context.Background(), x, final); err != nil {
		t.Fatal(err)
	}
	z, b := descend(p, 0.3)
	for j, v := range f.z(x) {
		if math.Abs(v-z[j]) > 1e-5 {
			t.Errorf("axis %d: got %g, by descent %g", j, v, z[j])
		}
	}
	if math.Abs(x[d.dim]-b) > 1e-5 {
		t.Errorf("bias: got %g, by descent %g", x[d.dim], b)
	}
	p.C, p.Base = 3, make([]float32, 3*n)
	if _, err := Learn(context.Background(), p, nil); !errors.Is(err, ErrConfig) {
		t.Errorf("of three labels: got %v", err)
	}
}

// descend minimizes Σ log(1 + e^∓(z·p + b)) + ½λ‖z‖² + ½b² by plain gradient descent.
func descend(p *Person, lambda float64) (z []float64, b float64) {
	z = make([]float64, p.A)
	for range 20_000 {
		g, gb := make([]float64, p.A), b
		for j := range g {
			g[j] = lambda * z[j]
		}
		for i, class := range p.Class {
			s := b
			for j := range z {
				s += z[j] * float64(p.P[i*p.A+j])
			}
			e := 1/(1+math.Exp(-s)) - float64(class)
			gb += e
			for j := range g {
				g[j] += e * float64(p.P[i*p.A+j])
			}
		}
		for j := range z {
			z[j] -= 0.01 * g[j]
		}
		b -= 0.01 * gb
	}
	return z, b
}
