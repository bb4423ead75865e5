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
	lambdas []float64    // +Inf, then falling
	trained []*solutions // one of each fold
	again   []*solutions // the same of another division of the examples; none of few
}

// solutions are one training's: the minimum at each of lambdas, which is zero, the prior alone, at
// +Inf.
type solutions struct {
	*fit
	test  []int     // what it answers
	prior []float64 // of its own counts
	x     [][]float64
}

// train solves one fold's problem at each strength, from the strongest on, each from the one
// before.
func (l *learning) train(ctx context.Context, part fold, gap float64) (*solutions, error) {
	prior, err := l.prior(ctx, part.train)
	if err != nil {
		return nil, err
	}
	s := &solutions{fit: newFit(l.data, part.train, prior, l.share()*biasLambda), test: part.test, prior: prior}
	x := make([]float64, len(s.rows)*(s.dim+1))
	for _, lambda := range l.lambdas {
		if s.lambda = l.share() * lambda; !math.IsInf(lambda, 1) {
			if _, err := s.solve(ctx, x, gap); err != nil {
				return nil, err
			}
		}
		s.x = append(s.x, slices.Clone(x))
	}
	return s, nil
}

// mean is the weighted mean of the solutions, and so of their logits.
func (s *solutions) mean(weights []float64) []float64 {
	x := make([]float64, len(s.x[0]))
	for k, w := range weights {
		numeric.Add(x, w, s.x[k])
	}
	return x
}

// trainFolds solves each fold's problem.
func (l *learning) trainFolds(ctx context.Context) error {
	l.lambdas = []float64{math.Inf(1)}
	if l.n > 1 && !l.oneLabel() {
		l.lambdas = append(l.lambdas, l.options.Lambdas...)
	}
	slices.SortFunc(l.lambdas, func(a, b float64) int { return cmp.Compare(b, a) })
	var err error
	if l.trained, err = l.trainEach(ctx, l.options.Seed); err == nil && l.n >= smallest {
		l.again, err = l.trainEach(ctx, ^l.options.Seed)
	}
	return err
}

// trainEach trains the folds of one division.
func (l *learning) trainEach(ctx context.Context, seed uint64) (trained []*solutions, err error) {
	for _, part := range l.folds(parts, seed) {
		s, err := l.train(ctx, part, loose)
		if err != nil {
			return nil, err
		}
		trained = append(trained, s)
	}
	return trained, nil
}

// floor bounds a log-probability from below, where the probability itself is 0 in float64.
const floor = 700

// outOfFold is log p of each example by trainings without it, [n,C], averaged in probability:
// answer says what a fold's training gives an example that it tests.
func (l *learning) outOfFold(trained []*solutions, answer func(fold, i int) []float64) []float64 {
	logProb, answers := make([]float64, l.n*l.classes), make([]int, l.n)
	for k, s := range trained {
		for _, i := range s.test {
			answers[i]++
			for c, v := range answer(k, i) {
				logProb[i*l.classes+c] += math.Exp(v)
			}
		}
	}
	for i, count := range answers {
		for c := range l.classes {
			at := i*l.classes + c
			logProb[at] = max(math.Log(logProb[at]/float64(count)), -floor)
		}
	}
	return logProb
}

// oneLabel says whether all examples have the same label and none was rejected.
func (d *data) oneLabel() bool {
	for i, c := range d.class {
		if c != d.class[0] || d.rejected[i] {
			return false
		}
	}
	return true
}

// What is known of λ beforehand, in nats: its logarithm is normal about that of center, so that a
// factor of ten away costs decade, and the prior alone without. Mean out-of-fold losses of few
// examples differ by chance among strengths, and without it the folds like far too often a strength
// at an end. As they are not independent, they say less than so many examples would: evidence is
// what a nat of them counts.
const (
	center   = 0.3
	decade   = 2
	without  = 0.5
	evidence = 0.7
)

// sure is the weight from which on the prior alone is all there is.
const sure = 0.75

// weigh is the weight of each of lambdas in the mean: how probable it is by what is known
// beforehand and by its out-of-fold loss, which stands for its likelihood. priorLogProb is out of
// fold of the prior alone.
func (l *learning) weigh() (weights, priorLogProb []float64) {
	weights = make([]float64, len(l.lambdas))
	for k, lambda := range l.lambdas {
		logProb := l.outOfFoldAt(l.trained, k)
		loss := l.loss(logProb)
		if l.again != nil {
			loss = (loss + l.loss(l.outOfFoldAt(l.again, k))) / 2
		}
		if k == 0 {
			priorLogProb = logProb
		}
		weights[k] = -evidence*loss - l.penalty(lambda)
	}
	numeric.Softmax(weights)
	return weights, priorLogProb
}

// penalty is how improbable a strength is beforehand, in nats.
func (l *learning) penalty(lambda float64) float64 {
	switch {
	case !math.IsInf(lambda, 1):
		away := math.Log10(lambda / center)
		return decade * away * away
	case l.options.Always && len(l.lambdas) > 1:
		return math.Inf(1)
	}
	return without
}

// outOfFoldAt is outOfFold at the strength of number k.
func (l *learning) outOfFoldAt(trained []*solutions, k int) []float64 {
	return l.outOfFold(trained, func(fold, i int) []float64 {
		s := trained[fold]
		return s.answer(s.x[k], i, s.prior)
	})
}

// judge is log p out of fold of the codes that the folds' mean solutions become.
func (l *learning) judge(ctx context.Context, weights []float64) ([]float64, error) {
	codes := make([]*code, len(l.trained))
	for k, s := range l.trained {
		var err error
		if codes[k], err = s.round(ctx, s.mean(weights)); err != nil {
			return nil, err
		}
	}
	return l.outOfFold(l.trained, func(fold, i int) []float64 {
		return l.trained[fold].predict(codes[fold], i, l.trained[fold].prior)
	}), nil
}

// loss is the weighted sum of the examples' losses: −log p, or −log(1 − p) of a rejection.
func (d *data) loss(logProb []float64) float64 {
	sum := 0.0
	for i, c := range d.class {
		row := slices.Clone(logProb[i*d.classes : (i+1)*d.classes])
		sum += d.weight[i] * min(lossOf(row, c, d.rejected[i]), floor)
	}
	return sum
}

// Temperature is what a temperature byte stands for: 2^((byte − 128)/32), from 0.06 to 16.
func Temperature(b byte) float64 { return math.Exp2((float64(b) - 128) / 32) }

// scored is how many examples a temperature needs: of fewer it says more of the folds, whose
// trainings had fewer still, than of what is installed.
const scored = 100

// temperature is the byte that minimizes calibrated over the examples that were not rejected. The
// sum is convex in 1/T, so a search by thirds finds it.
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

// calibrated is Σ_i w_i·(−log softmax(logProb_i/T)_c) + 2·(ln T)² at T of byte b: the second term
// is a normal prior of deviation 0.5.
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
		sum += d.weight[i] * lossOf(row, c, false)
	}
	return sum
}
