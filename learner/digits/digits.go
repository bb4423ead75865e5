package digits

import (
	"context"
	"fmt"
	"math"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Person is the examples of one person, as the frozen encoder, the shared head and the axes see them.
type Person struct {
	P        []float32 // [n,A]: p(x) = V φ(x), each example's projections on the axes
	Base     []float32 // [n,C]: the shared head's logits
	Class    []int     // [n]
	Weight   []float32 // [n] or nil; 0: 1
	Rejected []bool    // [n] or nil: the text is not of Class. Its loss is −log(1 − p); the prior does not count it, and the temperature is not fitted to it
	A, C     int
	Digits   int // M, digits an axis

	Prior   func(counts []uint32) []float32 // what label counts add to the logits, [C]; nil, or a nil result: nothing
	Counted []uint32                        // [C] or nil: labels counted before, of examples that are gone
	Biases  float64                         // 0: Prior is of counts; else biases that fit the examples with this precision take its place
}

// Result is what a person's profile stores, and how the whole procedure did out of fold.
type Result struct {
	Lambda      float64   // λ, the strength that the folds chose; +Inf: the prior alone
	Labels      []uint32  // which labels have a row, ascending; none with +Inf
	Rows        []byte    // their digits, ⌈A·M/8⌉ bytes each
	Scales      []byte    // one a row, see Scale
	Bias        []float32 // [C], 0 for labels that no example has; nil with +Inf
	Biases      []float32 // [C]: what takes the prior's place with Person.Biases, else nil
	Temperature byte      // see Temperature; 128, which is 1, where fewer than 100 examples are scored

	LogProb      []float32 // [n,C]: log p of each example by trainings without it, of the whole procedure at Lambda, at temperature 1
	PriorLogProb []float32 // [n,C]: the same of base + prior alone
}

// Options are how a person's digits are learned. nil, or a zero field, means the default.
//
// Each example is answered by trainings without it. From ten examples on there are Folds of them, stratified by label, and each example has one answer.
// Below, there are three times two halves, and what an example got is averaged in probability; a label's only example is in both halves' training, so that
// the others are answered by one who knows the label, and its own answer comes from one more training on all the others.
//
// λ minimizes the mean out-of-fold loss of the rounded code, weighted as F is, rejections included, with a weak log-normal prior of λ about 0.3 added: a
// factor of 10 away costs two nats in all. The prior alone is chosen, λ = +Inf, unless the digits are better than it by PriorCaution standard errors. One example never gets digits, nor do
// examples that all have one label: what they say is in the counts, and digits would only be surer of it.
type Options struct {
	Lambdas      []float64 // the strengths tried besides +Inf, each positive; nil: six from 0.02 to 6
	BiasLambda   float64   // λ_b; 0: 1
	ClassWeight  []float32 // [C], multiplies the weights of a label's examples, in fits and in the choice of λ; nil: 1
	Folds        int       // from ten examples on; 0: 5
	Seed         uint64    // of the folds
	PriorCaution float64   // by how many standard errors the digits must be better than the prior alone, else they are not learned; 0: any better will do
}

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
	if out.BiasLambda == 0 {
		out.BiasLambda = 1
	}
	if out.Folds == 0 {
		out.Folds = 5
	}
	return out
}

// Learn chooses the strength by folds and learns the digits at it from all examples. p is only read.
func Learn(ctx context.Context, p *Person, o *Options) (*Result, error) {
	opt := o.orDefaults()
	if err := check(p, opt); err != nil {
		return nil, err
	}
	d := newData(p, opt.ClassWeight)
	l := &learning{data: d, person: p, options: opt}
	if err := l.validate(ctx); err != nil {
		return nil, err
	}
	chosen := l.choose()
	res := &Result{Lambda: l.lambdas[chosen], PriorLogProb: d.restore(l.logProb[0], d.classes), LogProb: d.restore(l.logProb[chosen], d.classes)}
	res.Temperature = d.temperature(l.logProb[chosen])
	if err := l.install(ctx, res); err != nil {
		return nil, err
	}
	return res, nil
}

// final is the largest gap to the minimum of the fit that is kept; loose is that of the folds' fits, which are only compared.
const (
	final = 1e-13
	loose = 1e-4
)

// install learns from all examples: biases in the prior's place, and the digits.
func (l *learning) install(ctx context.Context, res *Result) error {
	all := make([]int, l.n)
	for i := range all {
		all[i] = i
	}
	prior, err := l.prior(ctx, all)
	if err != nil {
		return err
	}
	if l.person.Biases > 0 {
		res.Biases = numeric.Narrow(prior)
	}
	if math.IsInf(res.Lambda, 1) {
		return nil
	}
	f := newFit(l.data, all, prior, l.options.BiasLambda)
	f.lambda = res.Lambda
	x := make([]float64, len(f.rows)*(f.dim+1))
	if _, err := f.solve(ctx, x, final); err != nil {
		return err
	}
	c, err := f.round(ctx, x)
	if err != nil {
		return err
	}
	res.Bias = make([]float32, l.classes)
	for r, label := range f.rows {
		res.Bias[label] = float32(c.bias[r])
		if c.scale[r] == 0 {
			continue
		}
		res.Labels = append(res.Labels, uint32(label))
		res.Scales = append(res.Scales, c.scale[r])
		res.Rows = bits(res.Rows, c.level[r*l.axes:(r+1)*l.axes], l.digits)
	}
	return nil
}

// prior is what the counts of the examples, and of those before them, add to the logits, or the biases in their place; nil for nothing.
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

// biases of all labels minimize Σ w·loss + ½β‖b‖² over the shared head. Unlike a prior of counts they see in which texts a label was no surprise.
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
