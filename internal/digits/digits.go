package digits

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Person is the examples of one person, as the frozen encoder, the shared head and the axes see
// them.
type Person struct {
	P      []float32 // [n,A]: p(x) = V φ(x), each example's projections on the axes
	Base   []float32 // [n,C]: the shared head's logits
	Class  []int     // [n]
	Weight []float32 // [n] or nil; 0: 1
	// [n] or nil: the text is not of Class. Its loss is −log(1 − p); the prior does not count it,
	// and the temperature is not fitted to it
	Rejected []bool
	A, C     int
	Digits   int // M, digits an axis
	// C is 2, and label 1 alone has a row and a bias: the problem is a logistic one, whether a text
	// is of a label or not
	Logistic bool

	Prior   func(counts []uint32) []float32 // what label counts add to the logits, [C]; nil, or a nil result: nothing
	Counted []uint32                        // [C] or nil: labels counted before, of examples that are gone
	// 0: Prior is of counts; else biases that fit the examples with this precision take its place
	Biases float64
}

// Result is what a person's profile stores, and how the whole procedure did out of fold.
type Result struct {
	Lambda      float64   // λ, the strength of the greatest weight; +Inf: the prior alone
	Labels      []uint32  // which labels have a row, ascending; none with +Inf
	Rows        []byte    // their digits, ⌈A·M/8⌉ bytes each
	Scales      []byte    // one a row, see Scale
	Bias        []float32 // [C], 0 for labels that no example has; nil with +Inf
	Biases      []float32 // [C]: what takes the prior's place with Person.Biases, else nil
	Temperature byte      // see Temperature; 128, which is 1, where fewer than 100 examples are scored

	// [n,C]: log p of each example by trainings without it, of the whole procedure, at temperature
	// 1
	LogProb      []float32
	PriorLogProb []float32 // [n,C]: the same of base + prior alone
}

// Options are how a person's digits are learned. nil, or a zero field, means the default.
//
// Each example is answered by trainings without it. From ten examples on there are five of them,
// stratified by label, and each example has one answer. Below, there are three times two halves,
// and what an example got is averaged in probability; a label's only example is in both halves'
// training, so that the others are answered by one who knows the label, and its own answer comes
// from one more training on all the others.
//
// No λ is chosen: z and b are the mean over Lambdas and the prior alone, whose z and b are 0, each
// weighted by how probable it is. That is exp(−0.7·loss − penalty): the loss is the sum out of
// fold, before rounding, weighted as F is, rejections included, from ten examples on the mean of
// two divisions into folds; a λ that is a factor of ten from 0.3 is penalized by 2 nats, its
// logarithm's square in between, the prior alone by half a nat. Where the prior alone has three
// quarters of the weight or more, it is all there is, λ = +Inf; so below eight examples unless the
// digits have less loss out of fold. One example never gets digits, nor do examples that all have
// one label: what they say is in the counts, and digits would only be surer of it.
type Options struct {
	Lambdas []float64 // the strengths tried besides +Inf, each positive; nil: six from 0.02 to 6
	Seed    uint64    // of the folds
	Always  bool      // digits whatever the folds say, where there is anything to learn
}

// biasLambda is λ_b.
const biasLambda = 1

// defaultLambdas are the strengths tried.
var defaultLambdas = []float64{6, 2, 0.6, 0.2, 0.06, 0.02}

func (o *Options) orDefaults() Options {
	out := Options{}
	if o != nil {
		out = *o
	}
	if len(out.Lambdas) == 0 {
		out.Lambdas = defaultLambdas
	}
	return out
}

// Learn weighs the strengths by folds and learns the digits from all examples. p is only read.
func Learn(ctx context.Context, p *Person, o *Options) (*Result, error) {
	opt := o.orDefaults()
	if err := check(p, opt); err != nil {
		return nil, err
	}
	d := newData(p)
	l := &learning{data: d, person: p, options: opt}
	if err := l.trainFolds(ctx); err != nil {
		return nil, err
	}
	biases, err := l.installedBiases(ctx)
	if err != nil {
		return nil, err
	}
	weights, prior := l.weigh()
	res, logProb := &Result{Biases: biases, Lambda: math.Inf(1), PriorLogProb: d.restore(prior, d.classes)}, prior
	if weights[0] < sure {
		coded, err := l.judge(ctx, weights)
		if err != nil {
			return nil, err
		}
		if l.n >= few || opt.Always || l.loss(coded) < l.loss(prior) {
			logProb = coded
			if err := l.install(ctx, weights, res); err != nil {
				return nil, err
			}
		}
	}
	res.LogProb, res.Temperature = d.restore(logProb, d.classes), d.temperature(logProb)
	return res, nil
}

// few examples say too little out of fold for what is known of λ beforehand to be trusted.
const few = 8

// final is the largest gap to the minimum of the fits that are kept; loose is that of the folds',
// which are only compared.
const (
	final = 1e-13
	loose = 1e-4
)

// install learns the digits from all examples.
func (l *learning) install(ctx context.Context, weights []float64, res *Result) error {
	s, err := l.train(ctx, fold{train: l.everyone()}, final)
	if err != nil {
		return err
	}
	c, err := s.round(ctx, s.mean(weights))
	if err != nil {
		return err
	}
	likeliest := 1
	for k := range weights[1:] {
		if weights[k+1] > weights[likeliest] {
			likeliest = k + 1
		}
	}
	res.Lambda, res.Bias = l.lambdas[likeliest], make([]float32, l.classes)
	for r, label := range s.rows {
		res.Bias[label] = float32(c.bias[r])
		if c.scale[r] == 0 {
			continue
		}
		level := c.level[r*l.axes : (r+1)*l.axes]
		if l.pair {
			rows, scales := split(level, l.digits, c.scale[r])
			res.Labels, res.Scales, res.Rows = []uint32{0, 1}, scales[:], slices.Concat(rows[:]...)
			continue
		}
		res.Labels = append(res.Labels, uint32(label))
		res.Scales = append(res.Scales, c.scale[r])
		res.Rows = bits(res.Rows, level, l.digits)
	}
	return nil
}

// prior is what the counts of the examples, and of those before them, add to the logits, or the
// biases in their place; nil for nothing.
func (l *learning) prior(ctx context.Context, examples []int) ([]float64, error) {
	if l.person.Biases > 0 {
		return l.biases(ctx, examples)
	}
	if l.person.Prior == nil {
		return nil, nil
	}
	out := l.person.Prior(l.counts(examples, l.person.Counted))
	if out != nil && (len(out) != l.classes || !finite(out)) {
		return nil, fmt.Errorf("%w: a prior of %d values for %d labels, or not finite", ErrConfig, len(out), l.classes)
	}
	return numeric.Widen(out), nil
}

// everyone is the numbers of all examples.
func (d *data) everyone() []int {
	all := make([]int, d.n)
	for i := range all {
		all[i] = i
	}
	return all
}

// installedBiases are those of all examples; nil: the label prior serves.
func (l *learning) installedBiases(ctx context.Context) ([]float32, error) {
	if l.person.Biases == 0 {
		return nil, nil
	}
	b, err := l.biases(ctx, l.everyone())
	return numeric.Narrow(b), err
}

// biases of all labels minimize Σ w·loss + ½β‖b‖² over the shared head. Unlike a prior of counts
// they see in which texts a label was no surprise.
func (l *learning) biases(ctx context.Context, examples []int) ([]float64, error) {
	flat := *l.data
	flat.u, flat.dim = nil, 0
	f := newFit(&flat, examples, nil, l.person.Biases)
	f.lambda, f.rows = l.person.Biases, f.rows[:0]
	for c := range l.classes {
		f.rows = append(f.rows, c)
	}
	b := make([]float64, l.classes)
	_, err := f.solve(ctx, b, final)
	return b, err
}
