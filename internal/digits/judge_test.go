package digits

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/numeric"
)

// some is p with the examples from one to another.
func some(p *Person, from, to int) *Person {
	q := *p
	q.P, q.Base, q.Class = p.P[from*p.A:to*p.A], p.Base[from*p.C:to*p.C], p.Class[from:to]
	return &q
}

// served is what a result answers to the examples of p, which it did not learn from, with the label
// counts of those that it did.
func served(res *Result, counts []uint32, p *Person) []Answer {
	prior, row := countPrior(counts), (p.A*p.Digits+7)/8
	logProb := make([]float32, 0, len(p.Class)*p.C)
	for i := range p.Class {
		z := make([]float64, p.C)
		for c := range z {
			z[c] = float64(p.Base[i*p.C+c]) + float64(prior[c])
			if res.Bias != nil {
				z[c] += float64(res.Bias[c])
			}
		}
		for n, label := range res.Labels {
			for j := range p.A {
				level := 0.0
				for m := 1; m <= p.Digits; m++ {
					bit := j*p.Digits + m - 1
					level += (2*float64(res.Rows[n*row+bit/8]>>(bit%8)&1) - 1) * math.Exp2(-float64(m))
				}
				z[label] += Scale(res.Scales[n]) * level * float64(p.P[i*p.A+j])
			}
		}
		logProb = append(logProb, numeric.Narrow(logSoftmax(z))...)
	}
	return OutOfFold(logProb, p)
}

func countOf(p *Person) []uint32 {
	out := make([]uint32, p.C)
	for _, c := range p.Class {
		out[c]++
	}
	return out
}

// TestJudgeSequences: a person is learned, gives more examples, and is learned again, 200 times.
// More of the same must mostly be installed, a new label nearly always, and labels that were
// permuted among the new examples hardly ever.
func TestJudgeSequences(t *testing.T) {
	if testing.Short() {
		t.Skip("1,200 fits: 15 seconds")
	}
	const sequences, before, more = 200, 40, 20
	verdicts := map[string]*[Forgotten + 1]int{"same": {}, "permuted": {}, "new label": {}}
	for seed := range uint64(sequences) {
		r := rand.New(rand.NewPCG(seed, 5))
		for _, kind := range []string{"same", "permuted", "new label"} {
			p := randomPerson(1000+seed, before+more, 16, 3)
			fresh := p.Class[before:]
			switch kind {
			case "permuted":
				r.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
			case "new label":
				p = withLabel(p, before)
			}
			old := some(p, 0, before)
			first, second := learn(t, old, nil), learn(t, p, nil)
			was := slices.Concat(OutOfFold(first.LogProb, old),
				served(first, countOf(old), some(p, before, before+more)))
			for i := before; i < before+more; i++ {
				if was[i].Fresh = true; kind == "new label" { // which the first one did not have
					was[i].Right, was[i].Loss = false, UnknownLoss
				}
			}
			v, _ := Judge(p, was, OutOfFold(second.LogProb, p), OutOfFold(second.PriorLogProb, p))
			verdicts[kind][v]++
		}
	}
	for kind, ok := range map[string]func(installed int) bool{
		"same":      func(n int) bool { return lower(n, sequences) >= 0.5 },
		"permuted":  func(n int) bool { return n <= sequences/10 },
		"new label": func(n int) bool { return n >= sequences*95/100 },
	} {
		n := verdicts[kind][Better]
		t.Logf("%s: %d of %d installed; verdicts %v", kind, n, sequences, *verdicts[kind])
		if !ok(n) {
			t.Errorf("%s: got %d of %d installed", kind, n, sequences)
		}
	}
}

// withLabel gives p one more label, which all examples from one on have, and which shows along the
// first axis.
func withLabel(p *Person, from int) *Person {
	q := *p
	q.C, q.Base, q.Class, q.P = p.C+1, nil, slices.Clone(p.Class), slices.Clone(p.P)
	for i := range p.Class {
		q.Base = append(append(q.Base, p.Base[i*p.C:(i+1)*p.C]...), 0)
		if i >= from {
			q.Class[i] = p.C
			q.P[i*p.A]++
		}
	}
	return &q
}

// lower is the lower bound of Wilson's 95 % interval.
func lower(k, n int) float64 {
	p, m, z := float64(k)/float64(n), float64(n), 1.96
	return (p + z*z/2/m - z*math.Sqrt(p*(1-p)/m+z*z/4/m/m)) / (1 + z*z/m)
}

func TestJudge(t *testing.T) {
	answers := func(right, wrong int, loss float64) (out []Answer) {
		for i := range right + wrong {
			out = append(out, Answer{Known: true, Right: i < right, Loss: loss})
		}
		return out
	}
	class := func(n int) []int { return make([]int, n) }
	mixed := append(class(10), 1, 1, 1, 1, 1)
	all := func(a, b []Answer) []Answer { return append(a, b...) }
	for name, c := range map[string]struct {
		class         []int
		before, after []Answer
		want          Verdict
	}{
		"nothing known": {class(2), make([]Answer, 2), answers(2, 0, 1), Untested},
		"better":        {class(4), answers(2, 2, 1), answers(2, 2, 0.9), Better},
		"worse":         {class(4), answers(2, 2, 1), answers(4, 0, 1.1), Loss},
		"two fewer":     {class(9), answers(9, 0, 1), answers(7, 2, 0.5), Better},
		"three fewer":   {class(9), answers(9, 0, 1), answers(6, 3, 0.5), Fewer},
		"most of a label": {mixed, all(answers(5, 5, 1), answers(4, 1, 1)),
			all(answers(9, 1, 0.5), answers(1, 4, 1)), Better},
		"all of a label": {mixed, all(answers(5, 5, 1), answers(4, 1, 1)),
			all(answers(9, 1, 0.5), answers(0, 5, 1)), Forgotten},
		"all of a rare label": {append(class(10), 1, 1, 1, 1), all(answers(5, 5, 1), answers(4, 0, 1)),
			all(answers(9, 1, 0.5), answers(0, 4, 1)), Better},
		"what was never right": {mixed, all(answers(5, 5, 1), answers(1, 4, 1)),
			all(answers(9, 1, 0.5), answers(0, 5, 1)), Better},
	} {
		if got, _ := Judge(&Person{Class: c.class, C: 2}, c.before, c.after, c.before); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
