package eval

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/population"
)

// Modes of People.More.
const (
	// the code over so many axes, each as strong as was best in the population's choice
	moreRank   = "rank %d"
	moreDigits = "digits %d" // the code with so many digits on each axis
	// K of the 2K directions of the axes, not one of each pair: found as masks are, by
	// straight-through gradients
	moreKHot = "straight-through"
	// the code of that one of the population's people under which the person's answers are
	// likeliest
	moreNearest = "nearest code"
	moreSoup    = "soup of codes" // the mean code of the ten such people, as AdapterSoup averages adapters
	moreLikely  = "likely codes"  // the mean of all their codes, each weighted by how likely it makes the answers
	soupOf      = 10
)

var (
	moreRanks = []int{1, 2, 4, 8}
	moreModes = []string{"rank 1", "rank 2", "rank 4", "rank 8", "digits 1", "digits 2", "digits 3", "digits 4",
		"digits 5", "digits 6", "digits 7", "digits 8", moreKHot, moreNearest, moreSoup, moreLikely}
)

// forcedRanks are models of each rank. A rank that the choice did not try has the strength of the
// largest that it did.
func forcedRanks(ctx context.Context, p *population.Population, o population.Options, chosen *population.Model,
	r *population.Report) (map[int]*population.Model, error) {
	out := map[int]*population.Model{chosen.J: chosen}
	setting, least := r.Setting, math.Inf(1)
	for _, rank := range moreRanks {
		for _, t := range r.Trials {
			sum := 0.0
			for _, l := range t.Loss {
				sum += l
			}
			if t.Rank == rank && (setting.Rank != rank || sum < least) {
				setting, least = t.Setting, sum
			}
		}
		if setting.Rank = rank; out[rank] != nil {
			continue
		}
		s := setting
		o.Setting = &s
		m, _, err := population.Train(ctx, p, &o)
		if err != nil {
			return nil, err
		}
		out[rank] = m
	}
	return out, nil
}

// more are the modes of People.More.
func (p *serving) more(ctx context.Context) error {
	first := p.first(p.newcomer, p.shots)
	for _, rank := range moreRanks {
		m := p.ranks[rank]
		own, test := p.examples(p.banks, m, p.newcomer, first), p.examples(p.banks, m, p.newcomer, p.newcomer.test)
		if err := p.refit(ctx, fmt.Sprintf(moreRank, rank), m, own, test); err != nil {
			return err
		}
	}
	for digits := 1; digits <= 8; digits++ {
		m := *p.Model
		m.Digits = slices.Repeat([]int{digits}, m.J)
		if err := p.refit(ctx, fmt.Sprintf(moreDigits, digits), &m, p.own, p.test); err != nil {
			return err
		}
	}
	if err := p.straight(); err != nil {
		return err
	}
	return p.near()
}

func (p *serving) refit(ctx context.Context, mode string, m *population.Model, own, test *population.Examples) error {
	began := time.Now()
	c, err := m.Fit(ctx, own)
	if err == nil {
		p.code(mode, m, test, learned{c, time.Since(began)})
	}
	return err
}

// objective is what a code minimizes, at z and the bias that fits it, and its gradient by z.
func (p *serving) objective(z []float64) (value float64, bias, gradient []float64, err error) {
	if bias, err = p.fitted(z); err != nil {
		return 0, nil, nil, err
	}
	value, gradient = (numeric.Dot(z, z)+p.Beta*numeric.Dot(bias, bias))/2, slices.Clone(z)
	for k, class := range p.own.Class {
		row := p.row(k)
		logits := p.moved(row, z)
		numeric.Add(logits, 1, bias)
		right := logits[class]
		value += numeric.Softmax(logits) - right
		logits[class]--
		for j := range z {
			gradient[j] += numeric.Dot(logits, row[(1+j)*p.C:(2+j)*p.C])
		}
	}
	return value, bias, gradient, nil
}

// Of straight-through training: Adam's steps and rate, and the logits' first spread.
const (
	straightSteps = 200
	straightRate  = 0.1
	straightInit  = 0.01
)

// straight takes the best of all rows that the training passes, by its objective.
func (p *serving) straight() error {
	began := time.Now()
	var axis []int
	var step []float64 // of each direction
	for j, digits := range p.Digits {
		for m := range digits {
			v := float64(p.Range[j]) * math.Exp2(-float64(m+1))
			axis, step = append(axis, j, j), append(step, v, -v)
		}
	}
	rng, n := rand.New(rand.NewPCG(mix("straight"), uint64(p.who))), len(axis)
	logits, adam := make([]float64, n), newAdam(n, straightRate)
	for i := range logits {
		logits[i] = straightInit * rng.NormFloat64()
	}
	least, best, bias := math.Inf(1), []float64(nil), []float64(nil)
	for range straightSteps {
		z := make([]float64, p.J)
		for _, i := range largest(logits, n/2) {
			z[axis[i]] += step[i]
		}
		value, b, byZ, err := p.objective(z)
		if err != nil {
			return err
		}
		if value < least {
			least, best, bias = value, z, b
		}
		soft, mean, gradient := slices.Clone(logits), 0.0, make([]float64, n)
		numeric.Softmax(soft)
		for i, w := range soft {
			mean += w * byZ[axis[i]] * step[i]
		}
		for i, w := range soft {
			gradient[i] = w * (byZ[axis[i]]*step[i] - mean)
		}
		adam.step(logits, gradient)
	}
	p.at(way{moreKHot, 1, (n+7)/8 + 4*p.C, time.Since(began)}, best, bias)
	return nil
}

// largest are the places of the k largest values; of equals the first.
func largest(values []float64, k int) []int {
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	return order[:k]
}

// near are the modes that take the codes of the population's people.
func (p *serving) near() error {
	began := time.Now()
	fits := make([]float64, len(p.people))
	for u, z := range p.people {
		value, _, _, err := p.objective(z)
		if err != nil {
			return err
		}
		fits[u] = numeric.Dot(z, z)/2 - value // how likely z is of a person is not asked
	}
	near := largest(fits, min(soupOf, len(fits)))
	soup, likely := make([]float64, p.J), make([]float64, p.J)
	for _, u := range near {
		numeric.Add(soup, 1/float64(len(near)), p.people[u])
	}
	numeric.Softmax(fits)
	for u, share := range fits {
		numeric.Add(likely, share, p.people[u])
	}
	took := time.Since(began)
	for _, w := range []struct {
		mode string
		z    []float64
	}{{moreNearest, p.people[near[0]]}, {moreSoup, soup}, {moreLikely, likely}} {
		b, err := p.fitted(w.z)
		if err != nil {
			return err
		}
		p.at(way{w.mode, 1, 4 * (p.J + p.C), took}, w.z, b)
	}
	return nil
}

// adam is Adam without weight decay: β 0.9 and 0.999, ε 1e-8.
type adam[T float32 | float64] struct {
	rate float64
	t    int
	m, v []T
}

func newAdam[T float32 | float64](n int, rate T) *adam[T] {
	return &adam[T]{rate: float64(rate), m: make([]T, n), v: make([]T, n)}
}

func (a *adam[T]) step(x, gradient []T) {
	a.t++
	c1, c2 := 1-math.Pow(0.9, float64(a.t)), 1-math.Pow(0.999, float64(a.t))
	for i, g := range gradient {
		a.m[i] += 0.1 * (g - a.m[i])
		a.v[i] += 0.001 * (g*g - a.v[i])
		x[i] -= T(a.rate * float64(a.m[i]) / c1 / (math.Sqrt(float64(a.v[i])/c2) + 1e-8))
	}
}
