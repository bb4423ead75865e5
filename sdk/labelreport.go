package sdk

import (
	"cmp"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
)

// LabelReport is how one label fares, each example answered by what had not learned from it.
type LabelReport struct {
	Label     string  `json:"label"`
	N         int     `json:"n"`         // examples of it that were measured on
	Recall    float64 `json:"recall"`    // of those, the share that was answered with it; 0 without any
	Precision float64 `json:"precision"` // of the answers with it, the share that was right; 0 without any
}

// labelReports are those of the labels that were given or answered, and the mean of their F1.
func labelReports(labels []string, examples []learner.Example, answers []digits.Answer) (out []LabelReport,
	macroF1 float64) {
	n, said, right := make([]int, len(labels)), make([]int, len(labels)), make([]int, len(labels))
	for i, a := range answers {
		if !a.Known {
			continue
		}
		n[examples[i].Class]++
		said[a.Label]++
		if a.Right {
			right[a.Label]++
		}
	}
	return fromCounts(labels, n, said, right)
}

// fromCounts are reports of labels from how often each was right to give, given, and both.
func fromCounts(labels []string, n, said, right []int) (out []LabelReport, macroF1 float64) {
	for c, label := range labels {
		if n[c]+said[c] == 0 {
			continue
		}
		out = append(out, LabelReport{label, n[c], portion(right[c], n[c]), portion(right[c], said[c])})
		macroF1 += portion(2*right[c], n[c]+said[c])
	}
	return out, macroF1 / float64(max(1, len(out)))
}

func portion(part, of int) float64 { return float64(part) / float64(max(1, of)) }

// Sure is the minimum probability (PredictOptions) from which on 95 of 100 answers are right,
// as far as the answers out of fold can tell: their share's one-sided lower bound of 90 % is 0.95
// or more. With too few examples there is none, P is 0, and N of Need says how far it is: how many
// of the surest answers are right in a row, of those that would be enough.
type Sure struct {
	P    float64 `json:"p"`
	N    int     `json:"n"`    // answers from P on; with P 0 the surest that are right in a row
	Need int     `json:"need"` // that would be enough, all of them right
}

const (
	sureShare = 0.95 // of the answers from Sure.P on
	sureRisk  = 0.1  // that so many are right by luck, where fewer would be in the long run
)

// sureOf looks at each answer's probability as it would be served.
func sureOf(logProb []float32, heat float64, answers []digits.Answer) (s Sure) {
	type said struct {
		p     float64
		right bool
	}
	var all []said
	C := len(logProb) / max(1, len(answers))
	for i, a := range answers {
		if !a.Known {
			continue
		}
		top, sum := float64(slices.Max(logProb[i*C:(i+1)*C])), 0.0
		for _, z := range logProb[i*C : (i+1)*C] {
			sum += math.Exp((float64(z) - top) / heat)
		}
		all = append(all, said{1 / sum, a.Right})
	}
	slices.SortFunc(all, func(a, b said) int { return cmp.Compare(b.p, a.p) })
	s.Need = int(math.Ceil(math.Log(sureRisk) / math.Log(sureShare)))
	right := 0
	for i, x := range all {
		if x.right {
			right++
		}
		if right == i+1 && s.P == 0 {
			s.N = right
		}
		tied := i+1 < len(all) && all[i+1].p == x.p
		if !tied && atLeast(right, i+1, sureShare) <= sureRisk {
			s.P, s.N = x.p, i+1
		}
	}
	return s
}

// atLeast is the probability of k or more successes of n, each of probability p.
func atLeast(k, n int, p float64) (sum float64) {
	all, _ := math.Lgamma(float64(n + 1))
	for i := k; i <= n; i++ {
		done, _ := math.Lgamma(float64(i + 1))
		left, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - done - left + float64(i)*math.Log(p) + float64(n-i)*math.Log(1-p))
	}
	return sum
}
