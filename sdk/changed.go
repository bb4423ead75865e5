package sdk

import (
	"cmp"
	"context"
	"math"

	"github.com/xpeft/xpeft/internal/digits"
)

// newestArrivals are how many a changed mind is looked for in, by their latest half.
var newestArrivals = []int{40, 60}

const (
	// changedBy is by how many standard errors (Student's t of 19, 99 % on one side: each Learn
	// asks it of two halves), and changedRight by how many texts, the newest alone must do better
	// on that half.
	changedBy, changedRight = 2.54, 3
	// fadedWeight is what an example from before the change counts.
	fadedWeight = 0.125
)

// changed says from which example on the person means something else than before, -1 if nothing
// says so: what was learned from the newest arrivals alone answers the latest of them better, out
// of fold, than what was learned from all. Half of the labels being wrong does not look so: then
// neither answers them.
func (l *learning) changed(ctx context.Context, who *digits.Person, res *digits.Result, phi []float32) (from int,
	err error) {
	all := digits.OutOfFold(res.LogProb, who)
	for _, arrivals := range newestArrivals {
		n, first := len(who.Class), len(who.Class)-arrivals
		if first < newestArrivals[0]/2 || l.faded(first) {
			continue
		}
		newest := l.along(phi, numbered(first, n))
		alone, err := digits.Learn(ctx, newest, nil)
		if err != nil {
			return -1, err
		}
		latest := arrivals / 2
		if better(all[n-latest:], digits.OutOfFold(alone.LogProb, newest)[latest:]) {
			return first, nil
		}
	}
	return -1, nil
}

// better says whether answers now are clearly better than others to the same examples.
func better(were, now []digits.Answer) bool {
	var gains []float64
	gained := 0
	for i := range now {
		if !were[i].Known || !now[i].Known {
			continue
		}
		gains = append(gains, were[i].Loss-now[i].Loss)
		switch {
		case now[i].Right && !were[i].Right:
			gained++
		case were[i].Right && !now[i].Right:
			gained--
		}
	}
	return gained >= changedRight && mean(gains) > changedBy*standardError(gains)
}

// faded says whether an example of the learning weighs less, as it is from before a change.
func (l *learning) faded(i int) bool { return l.merged[i].Sequence < l.since }

// fade makes what came before an example weigh less, from now on.
func (l *learning) fade(who *digits.Person, first int) {
	l.since, l.reconsidered = l.merged[first].Sequence, true
	for i := range first {
		who.Weight[i] = weightOf(l.examples[i].Weight) * fadedWeight
	}
}

func weightOf(w float32) float32 { return cmp.Or(w, 1) }

func mean(x []float64) (sum float64) {
	for _, v := range x {
		sum += v
	}
	return sum / float64(max(1, len(x)))
}

// standardError is that of the mean, infinite for fewer than two.
func standardError(x []float64) float64 {
	if len(x) < 2 {
		return math.Inf(1)
	}
	m, squares := mean(x), 0.0
	for _, v := range x {
		squares += (v - m) * (v - m)
	}
	return math.Sqrt(squares / float64(len(x)-1) / float64(len(x)))
}
