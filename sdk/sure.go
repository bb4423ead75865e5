package sdk

import (
	"cmp"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/digits"
)

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
