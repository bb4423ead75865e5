package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/xpeft/xpeft/learner/population"
)

// Modes of a new person, in the order of the table.
const (
	peoplePrior    = "prior"       // the bank's head and the label prior of the person's counts
	peopleBias     = "bias"        // the bank's head and a fitted bias
	peopleAlone    = "prior alone" // the same as prior with a head that was fitted without axes
	peopleOwn      = "own head"    // that head, and a person's own difference from it; the best L2 of five on these very tests
	peopleMean     = "mean code"   // the population's mean code, bias fitted
	peopleOther    = "other code"  // another new person's code, its strength, not negative, and the bias fitted; the mean of 20
	peopleCode     = "code"        // the default: the person's code of digits, or the prior where the bank has no axes
	peopleReal     = "real z"      // the same before it is rounded
	peopleAsked    = "asked"       // the code of answers to texts that were chosen
	peopleRandom20 = 20
)

var peopleModes = []string{peoplePrior, peopleBias, peopleAlone, peopleOwn, peopleMean, peopleOther, peopleReal, peopleCode, peopleAsked}

// measure serves all newcomers in every mode.
func (e *People) measure(ctx context.Context, t *peopleTally, b *banks, bank int, all []newcomer, shots int) error {
	codes := make([]*population.Code, len(all))
	err := each(len(all), runtime.GOMAXPROCS(0), func(i int) (err error) {
		codes[i], err = b.Fit(ctx, e.examples(b, b.Model, all[i], e.first(all[i], shots)))
		return err
	})
	if err != nil {
		return err
	}
	return each(len(all), runtime.GOMAXPROCS(0), func(i int) error {
		p := &serving{People: e, banks: b, newcomer: all[i], bank: bank, shots: shots, tally: t}
		return p.serve(ctx, codes, i)
	})
}

// first are a newcomer's first answers. The others may have no label.
func (e *People) first(n newcomer, shots int) []int {
	train := e.Data.answered(n.who, n.train)
	if shots > 0 {
		train = train[:min(shots, len(train))]
	}
	return train
}

func (e *People) examples(b *banks, m *population.Model, n newcomer, which []int) *population.Examples {
	texts, class := e.Data.texts(n.who, which)
	return &population.Examples{Rows: b.rows(m, texts), Class: class}
}

// serving is one newcomer being served.
type serving struct {
	*People
	*banks
	newcomer
	bank, shots int
	tally       *peopleTally

	own, test  *population.Examples // under the bank
	alone      *population.Examples // under the head alone
	aloneTest  *population.Examples
	trainTexts []int
	testTexts  []int
}

func (p *serving) serve(ctx context.Context, codes []*population.Code, i int) error {
	first := p.first(p.newcomer, p.shots)
	p.own, p.test = p.examples(p.banks, p.Model, p.newcomer, first), p.examples(p.banks, p.Model, p.newcomer, p.newcomer.test)
	p.alone, p.aloneTest = p.examples(p.banks, p.none, p.newcomer, first), p.examples(p.banks, p.none, p.newcomer, p.newcomer.test)
	p.trainTexts, _ = p.Data.texts(p.who, first)
	p.testTexts, _ = p.Data.texts(p.who, p.newcomer.test)
	p.prior(peoplePrior, p.Model, p.own, p.test)
	if p.Brief {
		return p.brief(codes[i])
	}
	p.prior(peopleAlone, p.none, p.alone, p.aloneTest)
	if err := p.ownHead(ctx); err != nil {
		return err
	}
	if err := p.bias(); err != nil {
		return err
	}
	if p.J == 0 {
		p.prior(peopleCode, p.Model, p.own, p.test)
		p.prior(peopleReal, p.Model, p.own, p.test)
		p.prior(peopleMean, p.Model, p.own, p.test)
		p.prior(peopleOther, p.Model, p.own, p.test)
		if p.Asked && p.shots > 0 {
			p.prior(peopleAsked, p.Model, p.own, p.test)
		}
		return nil
	}
	p.answer(peopleCode, 1, func(dst, row []float64) []float64 { return p.Logits(dst, row, codes[i]) })
	if err := p.codes(codes, i); err != nil {
		return err
	}
	if p.Asked && p.shots > 0 {
		return p.asked(ctx)
	}
	return nil
}

// brief is the default, and what it must not be worse than.
func (p *serving) brief(c *population.Code) error {
	if p.J == 0 {
		p.prior(peopleCode, p.Model, p.own, p.test)
	} else {
		p.answer(peopleCode, 1, func(dst, row []float64) []float64 { return p.Logits(dst, row, c) })
	}
	return p.bias()
}

// answer marks the answers to the test by a mode's logits of the bank's rows.
func (p *serving) answer(mode string, weight float64, logits func(dst, row []float64) []float64) {
	var all [][]float64
	for k := range p.test.Class {
		all = append(all, logits(nil, p.test.Rows[k*p.Width():(k+1)*p.Width()]))
	}
	p.tally.add(mode, p.shots, p.who, p.bank, weight, p.test.Class, all)
}

func (p *serving) prior(mode string, m *population.Model, own, test *population.Examples) {
	counts := make([]uint32, m.C)
	for _, c := range own.Class {
		counts[c]++
	}
	prior, all := m.Prior(counts), [][]float64(nil)
	for k := range test.Class {
		z := slices.Clone(test.Rows[k*m.Width():][:m.C])
		for c := range z {
			z[c] += prior[c]
		}
		all = append(all, z)
	}
	p.tally.add(mode, p.shots, p.who, p.bank, 1, test.Class, all)
}

// bias is the bank's head with a fitted bias, and no axes.
func (p *serving) bias() error {
	zero := make([]float64, p.J)
	c, err := p.fitted(zero)
	if err == nil {
		p.answer(peopleBias, 1, c)
	}
	return err
}

// fitted answers with a fixed z and the bias that fits it.
func (p *serving) fitted(z []float64) (func(dst, row []float64) []float64, error) {
	flat := &population.Model{C: p.C, Beta: p.Beta}
	with := func(row []float64) []float64 {
		out := slices.Clone(row[:p.C])
		for j, v := range z {
			for c := range out {
				out[c] += v * row[(1+j)*p.C+c]
			}
		}
		return out
	}
	e := &population.Examples{Class: p.own.Class}
	for k := range e.Class {
		e.Rows = append(e.Rows, with(p.own.Rows[k*p.Width():(k+1)*p.Width()])...)
	}
	_, b, err := flat.Real(e)
	return func(_, row []float64) []float64 {
		out := with(row)
		for c := range out {
			out[c] += b[c]
		}
		return out
	}, err
}

// levels is a code as numbers.
func (b *banks) levels(level []byte) (z []float64) {
	for j, l := range level {
		z = append(z, b.Z(j, l))
	}
	return z
}

// codes are the modes beside the person's own code.
func (p *serving) codes(codes []*population.Code, own int) error {
	z, b, err := p.Real(p.own)
	if err != nil {
		return err
	}
	p.answer(peopleReal, 1, func(_, row []float64) []float64 {
		out := slices.Clone(row[:p.C])
		for c := range out {
			out[c] += b[c]
			for j, v := range z {
				out[c] += v * row[(1+j)*p.C+c]
			}
		}
		return out
	})
	mean, err := p.fitted(p.levels(p.mean))
	if err != nil {
		return err
	}
	p.answer(peopleMean, 1, mean)
	rng := rand.New(rand.NewPCG(mix("other"), uint64(p.who)))
	for range peopleRandom20 {
		k := rng.IntN(len(codes) - 1)
		if k >= own {
			k++
		}
		logits, err := p.strength(p.levels(codes[k].Level))
		if err != nil {
			return err
		}
		p.answer(peopleOther, 1./peopleRandom20, logits)
	}
	return nil
}

// strength answers with s·z, s ≥ 0, and the bias that fits it.
func (p *serving) strength(z []float64) (func(dst, row []float64) []float64, error) {
	one := &population.Model{C: p.C, J: 1, Beta: p.Beta}
	e := &population.Examples{Class: p.own.Class}
	for k := range e.Class {
		row := p.own.Rows[k*p.Width() : (k+1)*p.Width()]
		e.Rows = append(e.Rows, row[:p.C]...)
		for c := range p.C {
			v := 0.0
			for j, s := range z {
				v += s * row[(1+j)*p.C+c]
			}
			e.Rows = append(e.Rows, v)
		}
	}
	s, _, err := one.Real(e)
	if err != nil {
		return nil, err
	}
	scaled := make([]float64, len(z))
	for j := range z {
		scaled[j] = max(0, s[0]) * z[j]
	}
	return p.fitted(scaled)
}

// asked chooses texts one after the other, each by the answers so far, until as many are answered as are learned from in the other modes.
func (p *serving) asked(ctx context.Context) error {
	var told []int
	pool := slices.Clone(p.newcomer.train)
	for len(told) < p.shots && len(pool) > 0 {
		texts, _ := p.Data.texts(p.who, pool)
		var answered []float64
		for _, t := range texts {
			answered = append(answered, p.Data.Answers[t])
		}
		next, err := p.Ask(p.examples(p.banks, p.Model, p.newcomer, told), p.rows(p.Model, texts), answered, 1)
		if err != nil {
			return err
		}
		if p.Data.People[p.who].Class[pool[next[0]]] >= 0 {
			told = append(told, pool[next[0]])
		}
		pool = slices.Delete(pool, next[0], next[0]+1)
	}
	c, err := p.Fit(ctx, p.examples(p.banks, p.Model, p.newcomer, told))
	if err != nil {
		return err
	}
	p.answer(peopleAsked, 1, func(dst, row []float64) []float64 { return p.Logits(dst, row, c) })
	return nil
}

// ownHead serves own heads of every L2.
func (p *serving) ownHead(ctx context.Context) error {
	span := newOwnSpan(p.phi, p.trainTexts, p.testTexts, p.centre, p.scale)
	for _, lambda := range peopleStrengths {
		all, err := span.fit(ctx, p.none, p.alone, p.aloneTest, lambda)
		if err != nil {
			return err
		}
		p.tally.add(fmt.Sprintf("%s, L2 %g", peopleOwn, lambda), p.shots, p.who, p.bank, 1, p.aloneTest.Class, all)
	}
	return nil
}

// logLoss of a text's logits, and whether the best is right.
func logLoss(logits []float64, class int) (loss float64, right bool) {
	top := slices.Max(logits)
	sum := 0.0
	for _, z := range logits {
		sum += math.Exp(z - top)
	}
	return top + math.Log(sum) - logits[class], slices.Index(logits, top) == class
}
