package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"time"

	"github.com/xpeft/xpeft/internal/population"
)

// Modes of a new person, in the order of the table.
const (
	peoplePrior = "prior"       // the bank's head and the label prior of the person's counts
	peopleBias  = "bias"        // the bank's head and a fitted bias
	peopleAlone = "prior alone" // the same as prior with a head that was fitted without axes
	// that head, and a person's own difference from it; the best L2 of six on these very tests
	peopleOwn = "own head"
	// that head and prior, and an own adapter and head that start there; the best of six settings
	// on these very tests
	peopleAdapter = "single adapter"
	peopleMean    = "mean code" // the population's mean code, bias fitted
	// another new person's code, its strength, not negative, and the bias fitted; the mean of 20
	peopleOther = "other code"
	// the default: the person's code of digits, or the prior where the bank has no axes
	peopleCode     = "code"
	peopleReal     = "real z" // the same before it is rounded
	peopleAsked    = "asked"  // the code of answers to texts that were chosen
	peopleRandom20 = 20
)

var peopleModes = []string{peoplePrior, peopleBias, peopleAlone, peopleOwn, peopleAdapter, peopleMean, peopleOther,
	peopleReal, peopleCode, peopleAsked}

// learned is a person's code, and how long it took to learn.
type learned struct {
	*population.Code
	took time.Duration
}

// measure serves all newcomers in every mode.
func (e *People) measure(ctx context.Context, t *peopleTally, b *banks, bank int, all []newcomer, shots int) error {
	codes := make([]learned, len(all))
	err := each(len(all), runtime.GOMAXPROCS(0), func(i int) (err error) {
		own := e.examples(b, b.Model, all[i], e.first(all[i], shots))
		began := time.Now()
		codes[i].Code, err = b.Fit(ctx, own)
		codes[i].took = time.Since(began)
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

func (p *serving) serve(ctx context.Context, codes []learned, i int) error {
	first := p.first(p.newcomer, p.shots)
	p.own, p.test = p.examples(p.banks, p.Model, p.newcomer, first),
		p.examples(p.banks, p.Model, p.newcomer, p.newcomer.test)
	p.alone, p.aloneTest = p.examples(p.banks, p.none, p.newcomer, first),
		p.examples(p.banks, p.none, p.newcomer, p.newcomer.test)
	p.trainTexts, _ = p.Data.texts(p.who, first)
	p.testTexts, _ = p.Data.texts(p.who, p.newcomer.test)
	p.prior(peoplePrior, p.Model, p.own, p.test)
	if err := p.bias(); err != nil {
		return err
	}
	if err := p.served(codes[i]); err != nil || p.Brief {
		return err
	}
	p.prior(peopleAlone, p.none, p.alone, p.aloneTest)
	if err := p.ownHead(ctx); err != nil {
		return err
	}
	if p.Stems != nil {
		if err := p.singleAdapter(ctx); err != nil {
			return err
		}
	}
	if p.J == 0 {
		p.withoutAxes()
		return nil
	}
	if err := p.codes(codes, i); err != nil {
		return err
	}
	if p.More {
		if err := p.more(ctx); err != nil {
			return err
		}
	}
	if p.Asked && p.shots > 0 {
		return p.asked(ctx)
	}
	return nil
}

// served is the default: the person's code or, where the bank has no axes, the prior or the bias,
// whichever the population was answered better with.
func (p *serving) served(c learned) error {
	switch {
	case p.J > 0:
		p.code(peopleCode, p.Model, p.test, c)
	case p.report.Trials[0].Counts:
		p.prior(peopleCode, p.Model, p.own, p.test)
	default:
		return p.fixed(peopleCode, nil, p.C)
	}
	return nil
}

// withoutAxes answers by the prior in all modes that need axes.
func (p *serving) withoutAxes() {
	modes := []string{peopleReal, peopleMean, peopleOther}
	if p.More {
		modes = append(modes, moreModes...)
	}
	if p.Asked && p.shots > 0 {
		modes = append(modes, peopleAsked)
	}
	for _, mode := range modes {
		p.prior(mode, p.Model, p.own, p.test)
	}
}

// mark counts a way's answers to a test, rows of m.
func (p *serving) mark(w way, m *population.Model, test *population.Examples,
	logits func(dst, row []float64) []float64) {
	var all [][]float64
	for k := range test.Class {
		all = append(all, logits(nil, test.Rows[k*m.Width():(k+1)*m.Width()]))
	}
	p.tally.add(w, p.shots, p.who, p.bank, test.Class, all)
}

func (p *serving) code(mode string, m *population.Model, test *population.Examples, c learned) {
	w := way{mode, 1, codeBytes(m), c.took}
	p.mark(w, m, test, func(dst, row []float64) []float64 { return m.Logits(dst, row, c.Code) })
}

func (p *serving) prior(mode string, m *population.Model, own, test *population.Examples) {
	began := time.Now()
	counts := make([]uint32, m.C)
	for _, c := range own.Class {
		counts[c]++
	}
	prior := m.Prior(counts)
	p.mark(way{mode, 1, m.C, time.Since(began)}, m, test, func(_, row []float64) []float64 {
		z := slices.Clone(row[:m.C])
		for c := range z {
			z[c] += prior[c]
		}
		return z
	})
}

// bias is the bank's head with a fitted bias, and no axes.
func (p *serving) bias() error { return p.fixed(peopleBias, make([]float64, p.J), p.C) }

// fixed answers with a fixed z and the bias that fits it.
func (p *serving) fixed(mode string, z []float64, bytes int) error {
	began := time.Now()
	b, err := p.fitted(z)
	if err == nil {
		p.at(way{mode, 1, bytes, time.Since(began)}, z, b)
	}
	return err
}

// at answers from a place z with a bias.
func (p *serving) at(w way, z, bias []float64) {
	p.mark(w, p.Model, p.test, func(_, row []float64) []float64 {
		out := p.moved(row, z)
		for c := range out {
			out[c] += bias[c]
		}
		return out
	})
}

// moved are a row's logits at z, without a bias.
func (b *banks) moved(row, z []float64) []float64 {
	out := slices.Clone(row[:b.C])
	for j, v := range z {
		for c := range out {
			out[c] += v * row[(1+j)*b.C+c]
		}
	}
	return out
}

// row is one of the person's own answers.
func (p *serving) row(k int) []float64 { return p.own.Rows[k*p.Width() : (k+1)*p.Width()] }

// fitted is the bias that fits a z.
func (p *serving) fitted(z []float64) ([]float64, error) {
	e := &population.Examples{Class: p.own.Class}
	for k := range e.Class {
		e.Rows = append(e.Rows, p.moved(p.row(k), z)...)
	}
	_, b, err := (&population.Model{C: p.C, Beta: p.Beta}).Real(e)
	return b, err
}

// levels is a code as numbers.
func (b *banks) levels(level []byte) (z []float64) {
	for j, l := range level {
		z = append(z, b.Z(j, l))
	}
	return z
}

// codes are the modes beside the person's own code.
func (p *serving) codes(codes []learned, own int) error {
	began := time.Now()
	z, b, err := p.Real(p.own)
	if err != nil {
		return err
	}
	p.at(way{peopleReal, 1, 4 * (p.J + p.C), time.Since(began)}, z, b)
	if err := p.fixed(peopleMean, p.levels(p.mean), p.C); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(mix("other"), uint64(p.who)))
	for range peopleRandom20 {
		k := rng.IntN(len(codes) - 1)
		if k >= own {
			k++
		}
		began := time.Now()
		z, err := p.strength(p.levels(codes[k].Level))
		if err != nil {
			return err
		}
		b, err := p.fitted(z)
		if err != nil {
			return err
		}
		p.at(way{peopleOther, 1. / peopleRandom20, codeBytes(p.Model) + 1, time.Since(began)}, z, b)
	}
	return nil
}

// strength is s·z with the s ≥ 0 that fits best.
func (p *serving) strength(z []float64) ([]float64, error) {
	one := &population.Model{C: p.C, J: 1, Beta: p.Beta}
	e := &population.Examples{Class: p.own.Class}
	for k := range e.Class {
		base, with := p.row(k)[:p.C], p.moved(p.row(k), z)
		e.Rows = append(e.Rows, base...)
		for c, v := range with {
			e.Rows = append(e.Rows, v-base[c])
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
	return scaled, nil
}

// asked chooses texts one after the other, each by the answers so far, until as many are answered
// as are learned from in the other modes.
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
	answers, began := p.examples(p.banks, p.Model, p.newcomer, told), time.Now()
	c, err := p.Fit(ctx, answers)
	if err == nil {
		p.code(peopleAsked, p.Model, p.test, learned{c, time.Since(began)})
	}
	return err
}

// ownHead serves own heads of every L2.
func (p *serving) ownHead(ctx context.Context) error {
	span := newOwnSpan(p.phi, p.trainTexts, p.testTexts, p.centre, p.scale)
	for _, lambda := range peopleStrengths {
		began := time.Now()
		all, err := span.fit(ctx, p.none, p.alone, p.aloneTest, lambda)
		if err != nil {
			return err
		}
		w := way{fmt.Sprintf("%s, L2 %g", peopleOwn, lambda), 1, 4 * p.C * (p.D + 1), time.Since(began)}
		p.tally.add(w, p.shots, p.who, p.bank, p.aloneTest.Class, all)
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
