package sdk

import (
	"errors"
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
)

func TestSure(t *testing.T) {
	answers := func(n int, wrong ...int) (logProb []float32, out []digits.Answer) {
		for i := range n { // ever less sure
			p := 0.999 - 0.004*float64(i)
			logProb = append(logProb, float32(math.Log(p)), float32(math.Log(1-p)))
			a := digits.Answer{Known: true, Right: true}
			for _, w := range wrong {
				a.Right = a.Right && w != i
			}
			out = append(out, a)
		}
		return logProb, out
	}
	for name, c := range map[string]struct {
		n     int
		wrong []int
		heat  float64
		want  Sure
	}{
		"none":             {0, nil, 1, Sure{0, 0, 45}},
		"too few":          {44, nil, 1, Sure{0, 44, 45}},
		"enough":           {45, nil, 1, Sure{0.823, 45, 45}},
		"an early mistake": {60, []int{9}, 1, Sure{0, 9, 45}},
		"made up for":      {77, []int{9}, 1, Sure{0.695, 77, 45}},
		"a late mistake":   {60, []int{50}, 1, Sure{0.803, 50, 45}},
		"hotter":           {45, nil, 2, Sure{math.Sqrt(0.823) / (math.Sqrt(0.823) + math.Sqrt(0.177)), 45, 45}},
	} {
		logProb, said := answers(c.n, c.wrong...)
		got := sureOf(logProb, c.heat, said)
		if math.Abs(got.P-c.want.P) > 1e-6 || got.N != c.want.N || got.Need != c.want.Need {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// TestClassWeights: a label that counts more is answered more often.
func TestClassWeights(t *testing.T) {
	p := coded(t)
	noisy := examples(60, 0)
	for i := range noisy {
		if i%4 == 0 {
			noisy[i].Label = labels[i/4%3]
		}
	}
	mass := func(id string, o *LearnOptions) (sum float64) {
		o.Force = true
		mustLearn(t, p, id, noisy, o)
		for _, e := range noisy {
			sum += float64(mustPredict(t, p, id, e.Text).Probabilities[0].P)
		}
		return sum
	}
	plain, weighted := mass("plain", &LearnOptions{}),
		mass("weighted", &LearnOptions{ClassWeights: map[string]float64{labels[0]: 20}})
	if weighted < plain+1 {
		t.Errorf("got a mass of %.2f, without weights %.2f, want more", weighted, plain)
	}
	for w, want := range map[string]error{"nothing": ErrUnknownLabel, labels[0]: ErrConfig} {
		weights := map[string]float64{w: 1}
		if want == ErrConfig {
			weights[w] = -1
		}
		if _, err := p.Learn(t.Context(), "plain", noisy, &LearnOptions{ClassWeights: weights}); !errors.Is(err, want) {
			t.Errorf("weights %v: got %v, want %v", weights, err, want)
		}
	}
}
