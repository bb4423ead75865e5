//go:build cgo

package sdk

import (
	"context"
	"math"

	"github.com/xpeft/xpeft/learner/digits"
)

const (
	// newestArrivals are what a changed mind is found in, by their latest half.
	newestArrivals = 40
	// changedBy is by how many standard errors, and changedRight by how many texts, the newest alone must do better on that half.
	changedBy, changedRight = 2, 3
	// fadedWeight is what an example from before the change counts.
	fadedWeight = 0.125
)

// changed says whether the person means something else now than they did: whether what was learned from the newest arrivals alone answers the latest of them better, out of fold, than what
// was learned from all. Half of the labels being wrong does not look so: then neither answers them.
func (l *lesson) changed(ctx context.Context, who *digits.Person, res *digits.Result, phi []float32) (bool, error) {
	n, first := len(who.Class), len(who.Class)-newestArrivals
	if first < newestArrivals/2 || l.faded(first) {
		return false, nil
	}
	newest := l.along(phi, numbered(first, n))
	alone, err := digits.Learn(ctx, newest, nil)
	if err != nil {
		return false, err
	}
	all, now := digits.OutOfFold(res.LogProb, who)[first:], digits.OutOfFold(alone.LogProb, newest)
	var diffs []float64
	gained := 0
	for i := newestArrivals / 2; i < newestArrivals; i++ {
		if !all[i].Known || !now[i].Known {
			continue
		}
		diffs = append(diffs, all[i].Loss-now[i].Loss)
		switch {
		case now[i].Right && !all[i].Right:
			gained++
		case all[i].Right && !now[i].Right:
			gained--
		}
	}
	return gained >= changedRight && mean(diffs) > changedBy*standardError(diffs), nil
}

// faded says whether an example of the lesson weighs less, as it is from before a change.
func (l *lesson) faded(i int) bool { return l.merged[i].Sequence < l.since }

// fade makes what came before the newest arrivals weigh less, from now on.
func (l *lesson) fade(who *digits.Person) {
	first := len(l.merged) - newestArrivals
	l.since, l.reconsidered = l.merged[first].Sequence, true
	for i := range first {
		who.Weight[i] = weightOf(l.data.train[i].Weight) * fadedWeight
	}
}

func weightOf(w float32) float32 { return orDefault(w, 1) }

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
