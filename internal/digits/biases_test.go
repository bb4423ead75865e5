package digits

import (
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// TestBiases: what takes the prior's place is the minimum of the examples' loss with that
// precision, of labels too that no example has, and in each fold that of the fold's training.
func TestBiases(t *testing.T) {
	p := withAll(randomPerson(7, 20, 6, 4))
	for i := range p.Class {
		p.Class[i] %= 3
	}
	p.Biases = 2
	res := learn(t, p, nil)
	b, value := numeric.Widen(res.Biases), func(b []float64) float64 {
		sum := p.Biases / 2 * numeric.Dot(b, b)
		for i, c := range p.Class {
			logits := numeric.Widen(p.Base[i*4 : i*4+4])
			numeric.Add(logits, 1, b)
			sum += p.weight(i) * lossOf(logits, c, p.Rejected[i])
		}
		return sum
	}
	if least := value(b); b[3] >= 0 {
		t.Errorf("a label without examples: got a bias of %g", b[3])
	} else {
		for k := range b {
			for _, step := range []float64{-1e-3, 1e-3} {
				if b[k] += step; value(b) <= least {
					t.Errorf("bias %d, moved by %g: got %g, want more than %g", k, step, value(b), least)
				}
				b[k] -= step
			}
		}
	}
	folds, err := Folds(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folds {
		then := learn(t, only(p, f.Train), nil).Biases
		for _, i := range f.Test {
			logits := numeric.Widen(p.Base[i*4 : i*4+4])
			numeric.Add(logits, 1, numeric.Widen(then))
			numeric.Softmax(logits)
			for c, v := range logits {
				if got := float64(res.PriorLogProb[i*4+c]); math.Abs(got-math.Log(v)) > 1e-5 {
					t.Errorf("example %d, label %d: got %g, want %g", i, c, got, math.Log(v))
				}
			}
		}
	}
}

// only is the person with some of the examples.
func only(p *Person, which []int) *Person {
	out := &Person{A: p.A, C: p.C, Digits: p.Digits, Biases: p.Biases}
	for _, i := range which {
		out.P, out.Base = append(out.P, p.P[i*p.A:(i+1)*p.A]...), append(out.Base, p.Base[i*p.C:(i+1)*p.C]...)
		out.Class, out.Weight, out.Rejected = append(out.Class, p.Class[i]), append(out.Weight, p.Weight[i]),
			append(out.Rejected, p.Rejected[i])
	}
	return out
}
