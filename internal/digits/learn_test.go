package digits

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

func learn(t *testing.T, p *Person, o *Options) *Result {
	t.Helper()
	res, err := Learn(context.Background(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	checkResult(t, p, res)
	return res
}

// checkResult: shapes as documented, and log-probabilities that are ones.
func checkResult(t *testing.T, p *Person, res *Result) {
	t.Helper()
	n, row := len(p.Class), (p.A*p.Digits+7)/8
	if len(res.Rows) != len(res.Labels)*row || len(res.Scales) != len(res.Labels) || slices.Contains(res.Scales, 0) ||
		!slices.IsSorted(res.Labels) {
		t.Fatalf("got labels %v, %d bytes of rows, scales %v", res.Labels, len(res.Rows), res.Scales)
	}
	if alone := math.IsInf(res.Lambda, 1); alone != (res.Bias == nil) || alone && len(res.Labels) > 0 || !alone &&
		len(res.Bias) != p.C {
		t.Fatalf("λ %g with bias %v and labels %v", res.Lambda, res.Bias, res.Labels)
	}
	if res.Temperature == 0 {
		t.Fatal("got no temperature")
	}
	for _, logProb := range [][]float32{res.LogProb, res.PriorLogProb} {
		if len(logProb) != n*p.C {
			t.Fatalf("got %d log-probabilities, want %d", len(logProb), n*p.C)
		}
		for i := range n {
			sum := 0.0
			for _, v := range logProb[i*p.C : (i+1)*p.C] {
				sum += math.Exp(float64(v))
			}
			if !(math.Abs(sum-1) < 1e-4) {
				t.Fatalf("example %d: probabilities sum to %g, want 1", i, sum)
			}
		}
	}
}

// loss is the mean of −log p over what was not rejected.
func loss(p *Person, logProb []float32) float64 {
	sum, n := 0.0, 0.0
	for i, c := range p.Class {
		if p.Rejected == nil || !p.Rejected[i] {
			sum -= float64(logProb[i*p.C+c])
			n++
		}
	}
	return sum / n
}

func TestLearnFindsWhatThereIs(t *testing.T) {
	for _, C := range []int{2, 3, 12} {
		p := randomPerson(1, 120, 16, C)
		res := learn(t, p, nil)
		if got, prior := loss(p, res.LogProb), loss(p, res.PriorLogProb); !(got < prior-0.1) ||
			math.IsInf(res.Lambda, 1) {
			t.Errorf("%d labels: out of fold got %.3f at λ %g, want well below the prior's %.3f", C, got, res.Lambda,
				prior)
		}
	}
}

// TestLogProbIsOutOfFold: with more axes than examples a fit answers its own examples right,
// whatever their labels; out of fold, random labels stay unknown.
func TestLogProbIsOutOfFold(t *testing.T) {
	for _, n := range []int{8, 60} {
		sum, people := 0.0, 20
		for seed := range uint64(people) {
			p := randomPerson(seed, n, 80, 2)
			r := rand.New(rand.NewPCG(seed, 3))
			for i := range p.Class {
				p.Class[i] = r.IntN(2)
			}
			res := learn(t, p, &Options{Lambdas: []float64{0.01}, Always: true})
			if res.Lambda != 0.01 {
				t.Fatalf("got λ %g, want the only one", res.Lambda)
			}
			sum += loss(p, res.LogProb) / float64(people)
		}
		if sum < math.Ln2 {
			t.Errorf("%d examples: got a mean loss of %.3f on random labels, want above that of not knowing, %.3f",
				n, sum, math.Ln2)
		}
	}
}

func TestRandomLabelsAreRarelyLearned(t *testing.T) {
	learned := 0
	for seed := range uint64(40) {
		p := randomPerson(seed, 30, 16, 3)
		r := rand.New(rand.NewPCG(seed, 4))
		r.Shuffle(len(p.Class), func(i, j int) { p.Class[i], p.Class[j] = p.Class[j], p.Class[i] })
		if res := learn(t, p, nil); !math.IsInf(res.Lambda, 1) {
			learned++
		}
	}
	t.Logf("learned from %d of 40 people of random labels", learned)
	if learned > 20 {
		t.Errorf("learned from %d of 40 people of random labels, want at most 20", learned)
	}
}

func TestLearnIsDeterministic(t *testing.T) {
	p := withAll(randomPerson(2, 30, 16, 4))
	a, b := learn(t, p, &Options{Seed: 5}), learn(t, p, &Options{Seed: 5})
	if !reflect.DeepEqual(a, b) {
		t.Error("got two results of the same examples and seed")
	}
	if c := learn(t, p, &Options{Seed: 6}); reflect.DeepEqual(a.PriorLogProb, c.PriorLogProb) {
		t.Error("got the same folds of another seed")
	}
}

// TestOrderDoesNotMatter: the same examples in another order are the same person, to the bit.
func TestOrderDoesNotMatter(t *testing.T) {
	for _, n := range []int{7, 30} {
		p := withAll(randomPerson(3, n, 16, 3))
		want := learn(t, p, nil)
		order := rand.New(rand.NewPCG(1, 1)).Perm(n)
		q := &Person{A: p.A, C: p.C, Digits: p.Digits, Prior: p.Prior}
		for _, i := range order {
			q.P, q.Base = append(q.P, p.P[i*p.A:(i+1)*p.A]...), append(q.Base, p.Base[i*p.C:(i+1)*p.C]...)
			q.Class, q.Weight, q.Rejected = append(q.Class, p.Class[i]), append(q.Weight, p.Weight[i]),
				append(q.Rejected, p.Rejected[i])
		}
		got := learn(t, q, nil)
		for to, from := range order {
			if !slices.Equal(got.LogProb[to*p.C:(to+1)*p.C], want.LogProb[from*p.C:(from+1)*p.C]) {
				t.Fatalf("%d examples: example %d moved to %d got another answer", n, from, to)
			}
		}
		got.LogProb, got.PriorLogProb = want.LogProb, want.PriorLogProb
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%d examples in another order: got λ %g, want %g, or other digits", n, got.Lambda, want.Lambda)
		}
	}
}

// TestFewExamples: people of one to six examples, of one label or more, all given or all rejected.
func TestFewExamples(t *testing.T) {
	for n := 1; n <= 6; n++ {
		for _, labels := range []int{1, 2, 3} {
			for _, rejected := range []bool{false, true} {
				p := randomPerson(uint64(n), n, 8, 3)
				for i := range p.Class {
					p.Class[i] = i % labels
					p.Rejected = append(p.Rejected, rejected)
				}
				t.Run(fmt.Sprintf("%d of %d, rejected %v", n, labels, rejected), func(t *testing.T) {
					if res := learn(t, p, nil); n == 1 && !math.IsInf(res.Lambda, 1) {
						t.Errorf("got λ %g, want the prior alone: nothing says that one example can be learned from",
							res.Lambda)
					}
					learn(t, p, &Options{Always: true})
				})
			}
		}
	}
}

// TestOneLabel: the counts say all that there is to say, until something else is known.
func TestOneLabel(t *testing.T) {
	p := randomPerson(1, 25, 8, 4)
	for i := range p.Class {
		p.Class[i] = 2
	}
	if res := learn(t, p, &Options{Always: true}); !math.IsInf(res.Lambda, 1) {
		t.Errorf("got λ %g, want the prior alone", res.Lambda)
	}
	p.Rejected = make([]bool, 25)
	p.Rejected[3] = true
	if res := learn(t, p, &Options{Always: true}); len(res.Labels) != 1 || res.Labels[0] != 2 ||
		res.Bias[0] != 0 || res.Bias[2] <= 0 {
		t.Errorf("with a rejection: got rows of %v and bias %v, want one of label 2, and its bias above 0",
			res.Labels, res.Bias)
	}
}

// TestRejectionsOnly: what is rejected becomes less likely.
func TestRejectionsOnly(t *testing.T) {
	p := randomPerson(1, 25, 8, 3)
	for i := range p.Class {
		p.Class[i] = 1
		p.Rejected = append(p.Rejected, true)
	}
	res := learn(t, p, nil)
	if res.Temperature != 128 {
		t.Errorf("got temperature %d, want 128: nothing is scored", res.Temperature)
	}
	for i := range p.Class {
		if got, prior := res.LogProb[i*3+1], res.PriorLogProb[i*3+1]; !(got < prior) {
			t.Fatalf("example %d: got log p %g of the rejected label, want below the prior's %g", i, got, prior)
		}
	}
}

// TestRareLabel: a label with one example among many gets its row, and is answered by a training
// without it.
func TestRareLabel(t *testing.T) {
	p := randomPerson(1, 60, 8, 3)
	for i := range p.Class {
		p.Class[i] = min(p.Class[i], 1)
	}
	p.Class[17] = 2
	res := learn(t, p, nil)
	if !slices.Contains(res.Labels, 2) {
		t.Errorf("got rows of %v, want one of label 2 too", res.Labels)
	}
	if got := res.LogProb[17*3+2]; got > -2 {
		t.Errorf("got log p %g of the only example of its label, want what a training without it says", got)
	}
}

// TestTemperature: the search finds what trying every byte finds; logits three times too large get
// about 3.
func TestTemperature(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	d := &data{n: 400, classes: 3, rejected: make([]bool, 400)}
	var logProb []float64
	for range d.n {
		logits := []float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()}
		p := logSoftmax(slices.Clone(logits))
		u, c := r.Float64(), 0
		for ; c < 2 && u > math.Exp(p[c]); c++ {
			u -= math.Exp(p[c])
		}
		for k := range logits {
			logits[k] *= 3
		}
		logProb = append(logProb, logSoftmax(logits)...)
		d.class, d.weight = append(d.class, c), append(d.weight, 1)
	}
	got := d.temperature(logProb)
	if v := Temperature(got); v < 2.3 || v > 4 {
		t.Errorf("got %g, want about 3", v)
	}
	best, least := 0, math.Inf(1)
	for b := 1; b <= 255; b++ {
		if v := d.calibrated(logProb, b); v < least {
			best, least = b, v
		}
	}
	if int(got) != best {
		t.Errorf("got byte %d, want %d, the best of all", got, best)
	}
}

func TestErrors(t *testing.T) {
	nan := float32(math.NaN())
	for name, spoil := range map[string]func(p *Person, o *Options){
		"no examples":     func(p *Person, o *Options) { p.Class, p.P, p.Base = nil, nil, nil },
		"no axes":         func(p *Person, o *Options) { p.A, p.P = 0, nil },
		"one label":       func(p *Person, o *Options) { p.C = 1 },
		"no digits":       func(p *Person, o *Options) { p.Digits = 0 },
		"nine digits":     func(p *Person, o *Options) { p.Digits = 9 },
		"projections":     func(p *Person, o *Options) { p.P = p.P[1:] },
		"base":            func(p *Person, o *Options) { p.Base = p.Base[1:] },
		"class below":     func(p *Person, o *Options) { p.Class[0] = -1 },
		"class above":     func(p *Person, o *Options) { p.Class[0] = 3 },
		"weights":         func(p *Person, o *Options) { p.Weight = []float32{1} },
		"negative weight": func(p *Person, o *Options) { p.Weight = make([]float32, 12); p.Weight[3] = -1 },
		"rejections":      func(p *Person, o *Options) { p.Rejected = []bool{true} },
		"counted":         func(p *Person, o *Options) { p.Counted = []uint32{1} },
		"NaN":             func(p *Person, o *Options) { p.P[4] = nan },
		"NaN in base":     func(p *Person, o *Options) { p.Base[4] = nan },
		"infinite":        func(p *Person, o *Options) { p.P[4] = float32(math.Inf(1)) },
		"prior's length":  func(p *Person, o *Options) { p.Prior = func([]uint32) []float32 { return []float32{1} } },
		"prior of NaN": func(p *Person,
			o *Options) {
			p.Prior = func([]uint32) []float32 { return []float32{0, nan, 0} }
		},
		"strength 0":   func(p *Person, o *Options) { o.Lambdas = []float64{0} },
		"strength NaN": func(p *Person, o *Options) { o.Lambdas = []float64{math.NaN()} },
	} {
		p, o := randomPerson(1, 12, 4, 3), &Options{}
		spoil(p, o)
		if res, err := Learn(context.Background(), p, o); !errors.Is(err, ErrConfig) || res != nil {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// TestLearnEndsWithItsContext, wherever it is: the prior is asked at the start of each fit.
func TestLearnEndsWithItsContext(t *testing.T) {
	for asked := 1; asked <= 11; asked++ {
		ctx, cancel := context.WithCancelCause(context.Background())
		p := randomPerson(1, 40, 16, 3)
		left := asked
		p.Prior = func(counts []uint32) []float32 {
			if left--; left == 0 {
				cancel(errors.New("enough"))
			}
			return countPrior(counts)
		}
		if res, err := Learn(ctx, p, nil); !errors.Is(err, context.Canceled) || res != nil {
			t.Errorf("ended in fit %d: got %v, want %v", asked, err, context.Canceled)
		}
		cancel(nil)
	}
}

// TestWeights: each strength weighs as its loss out of fold and what is known beforehand say, and
// the prior alone serves from three quarters of the weight on.
func TestWeights(t *testing.T) {
	var alone, likely int // people whom the prior alone serves; whom digits do though it has half of the weight
	for seed := range uint64(40) {
		p := withAll(randomPerson(seed, 20+int(seed)%6*4, 16, 3))
		if seed >= 6 { // random labels
			r := rand.New(rand.NewPCG(seed, 4))
			r.Shuffle(len(p.Class), func(i, j int) { p.Class[i], p.Class[j] = p.Class[j], p.Class[i] })
		}
		l := &learning{data: newData(p), person: p, options: (*Options)(nil).orDefaults()}
		if err := l.trainFolds(context.Background()); err != nil {
			t.Fatal(err)
		}
		weights, _ := l.weigh()
		loss := func(k int) (sum float64) {
			for _, division := range [][]*solutions{l.trained, l.again} {
				sum += l.loss(l.outOfFold(division, func(fold, i int) []float64 {
					s := division[fold]
					return s.answer(s.x[k], i, s.prior)
				}))
			}
			return sum / 2
		}
		want, sum := []float64{math.Exp(-0.5)}, math.Exp(-0.5)
		for k, lambda := range []float64{6, 2, 0.6, 0.2, 0.06, 0.02} {
			want = append(want, math.Exp(0.7*(loss(0)-loss(k+1))-2*math.Pow(math.Log10(lambda/0.3), 2)))
			sum += want[k+1]
		}
		for k := range want {
			want[k] /= sum
		}
		golden.Near(t, fmt.Sprintf("case %d, weights", int(seed)), weights, want, 1e-9, 0)
		isAlone := math.IsInf(learn(t, p, nil).Lambda, 1)
		if isAlone != (weights[0] >= 0.75) {
			t.Errorf("seed %d: the prior alone weighs %.3f; got it alone: %v", seed, weights[0], isAlone)
		}
		if isAlone {
			alone++
		} else if weights[0] >= 0.5 {
			likely++
		}
	}
	if alone == 0 || likely == 0 {
		t.Errorf("the prior alone served %d people, and did not serve %d in spite of half of the weight; want some of each",
			alone, likely)
	}
}

// TestFewAreAskedForLess: below eight examples digits have less loss out of fold than the prior;
// from eight on they may have a little more.
func TestFewAreAskedForLess(t *testing.T) {
	more := map[int]int{}
	for seed := range uint64(60) {
		for _, n := range []int{4, 7, 8, 12} {
			p := randomPerson(seed, n, 16, 2)
			res := learn(t, p, nil)
			if len(res.Labels) > 0 && loss(p, res.LogProb) >= loss(p, res.PriorLogProb) {
				more[n]++
			}
		}
	}
	if more[4] > 0 || more[7] > 0 || more[8] == 0 || more[12] == 0 {
		t.Errorf("got digits with more loss than the prior by number of examples: %v, want none of 4 and 7, some "+
			"of 8 and 12", more)
	}
}
