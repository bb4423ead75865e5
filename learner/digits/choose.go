package digits

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// learning is one call of Learn.
type learning struct {
	*data
	person  *Person
	options Options
	lambdas []float64   // +Inf, then falling
	logProb [][]float64 // of each of lambdas: out of fold, [n,C]
}

// validate fits each fold at each strength, from the strongest on, each fit from the one before, and averages what each example got in probability.
func (l *learning) validate(ctx context.Context) error {
	l.lambdas = []float64{math.Inf(1)}
	if l.n > 1 && !l.oneLabel() {
		l.lambdas = append(l.lambdas, l.options.Lambdas...)
	}
	slices.SortFunc(l.lambdas, func(a, b float64) int { return cmp.Compare(b, a) })
	l.logProb = make([][]float64, len(l.lambdas))
	for k := range l.logProb {
		l.logProb[k] = make([]float64, l.n*l.classes)
	}
	answers := make([]int, l.n)
	for _, part := range l.folds(l.options.Folds, l.options.Seed) {
		if err := l.answer(ctx, part); err != nil {
			return err
		}
		for _, i := range part.test {
			answers[i]++
		}
	}
	for _, sums := range l.logProb {
		for i, count := range answers {
			for c := range l.classes {
				at := i*l.classes + c
				sums[at] = max(math.Log(sums[at]/float64(count)), -floor)
			}
		}
	}
	return nil
}

// floor bounds a log-probability from below, where the probability itself is 0 in float64.
const floor = 700

// oneLabel says whether all examples have the same label and none was rejected.
func (d *data) oneLabel() bool {
	for i, c := range d.class {
		if c != d.class[0] || d.rejected[i] {
			return false
		}
	}
	return true
}

// answer adds what one fold's trainings give its test examples to logProb, as probabilities.
func (l *learning) answer(ctx context.Context, part fold) error {
	prior, err := l.prior(ctx, part.train)
	if err != nil {
		return err
	}
	f := newFit(l.data, part.train, prior, l.options.BiasLambda)
	x := make([]float64, len(f.rows)*(f.dim+1))
	for k, lambda := range l.lambdas {
		c := &code{scale: make([]byte, len(f.rows)), bias: make([]float64, len(f.rows))}
		if f.lambda = lambda; !math.IsInf(lambda, 1) {
			if _, err := f.solve(ctx, x, loose); err != nil {
				return err
			}
			if c, err = f.round(ctx, x); err != nil {
				return err
			}
		}
		for _, i := range part.test {
			for label, v := range f.predict(c, i, prior) {
				l.logProb[k][i*l.classes+label] += math.Exp(v)
			}
		}
	}
	return nil
}

// center of the prior over λ, log-normal: mean out-of-fold losses of few examples differ by chance among strengths, and without it the folds choose far
// too often a strength at an end. A factor of ten away costs decade nats.
const (
	center = 0.3
	decade = 2
)

// choose is the strength of the least out-of-fold loss, with that prior; 0, the prior alone, if its mean loss is not below the prior's, by PriorCaution standard errors.
func (l *learning) choose() int {
	total := 0.0
	for _, w := range l.weight {
		total += w
	}
	losses, best, least := make([][]float64, len(l.lambdas)), 0, math.Inf(1)
	for k, lambda := range l.lambdas {
		losses[k] = l.outOfFold(l.logProb[k])
		away := math.Log10(lambda / center)
		if score := l.mean(losses[k]) + decade*away*away/total; k > 0 && score < least {
			best, least = k, score
		}
	}
	gain := l.mean(losses[0]) - l.mean(losses[best])
	if gain <= l.options.PriorCaution*l.standardError(losses[0], losses[best]) {
		return 0
	}
	return best
}

// outOfFold is each example's loss: −log p, or −log(1 − p) of a rejection.
func (l *learning) outOfFold(logProb []float64) []float64 {
	out := make([]float64, l.n)
	for i, c := range l.class {
		row := slices.Clone(logProb[i*l.classes : (i+1)*l.classes])
		out[i] = min(lossOf(row, c, l.rejected[i]), floor)
	}
	return out
}

// mean is weighted as the objective is.
func (d *data) mean(x []float64) float64 {
	total := 0.0
	for _, w := range d.weight {
		total += w
	}
	return numeric.Dot(d.weight, x) / total
}

// standardError is that of the mean of a − b.
func (d *data) standardError(a, b []float64) float64 {
	diff := slices.Clone(a)
	numeric.Add(diff, -1, b)
	mean, total, squares := d.mean(diff), 0.0, 0.0
	for i, w := range d.weight {
		total += w
		squares += w * w * (diff[i] - mean) * (diff[i] - mean)
	}
	return math.Sqrt(squares*float64(d.n)/float64(d.n-1)) / total
}

// Temperature is what a temperature byte stands for: 2^((byte − 128)/32), from 0.06 to 16.
func Temperature(b byte) float64 { return math.Exp2((float64(b) - 128) / 32) }

// scored is how many examples a temperature needs: of fewer it says more of the folds, whose trainings had fewer still, than of what is installed.
const scored = 100

// temperature is the byte that minimizes calibrated over the examples that were not rejected. The sum is convex in 1/T, so a search by thirds finds it.
func (d *data) temperature(logProb []float64) byte {
	count := 0
	for _, rejected := range d.rejected {
		if !rejected {
			count++
		}
	}
	if count < scored {
		return 128
	}
	low, high := 64, 192 // T from 1/4 to 4
	for high-low > 2 {
		third := (high - low) / 3
		if a, b := low+third, high-third; d.calibrated(logProb, a) <= d.calibrated(logProb, b) {
			high = b
		} else {
			low = a
		}
	}
	best := low
	for b := low + 1; b <= high; b++ {
		if d.calibrated(logProb, b) < d.calibrated(logProb, best) {
			best = b
		}
	}
	return byte(best)
}

// calibrated is Σ_i w_i·(−log softmax(logProb_i/T)_c) + 2·(ln T)² at T of byte b: the second term is a normal prior of deviation 0.5. The labels' weights
// take no part.
func (d *data) calibrated(logProb []float64, b int) float64 {
	t := Temperature(byte(b))
	sum, row := 2*math.Log(t)*math.Log(t), make([]float64, d.classes)
	for i, c := range d.class {
		if d.rejected[i] {
			continue
		}
		for k, v := range logProb[i*d.classes : (i+1)*d.classes] {
			row[k] = v / t
		}
		sum += d.own[i] * lossOf(row, c, false)
	}
	return sum
}
