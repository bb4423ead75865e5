package eval

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/xpeft/xpeft/internal/population"
)

// Answered is a data set as People measures it: who gave which label to which text, and the texts'
// features.
type Answered struct {
	Labels  []string
	People  []Answerer // sorted by id
	Taps    []int      // the blocks whose states are in States
	States  []float32  // [texts,taps·d]
	Hidden  int
	Scaled  bool      // States are φ already
	Answers []float64 // of each text, the share of those it was shown to who gave a label
}

// Answerer is one person: Class −1 is a label that was left out, an answer that tells nothing.
type Answerer struct {
	ID          string
	Text, Class []int
}

// People measures what a bank of a population's axes is worth to new people. Half of all people
// make the bank, the others are new to it, and then the other way round, so that in each split
// everybody is new once.
type People struct {
	Data     *Answered
	Splits   int
	First    int    // the number of the first split
	Shots    []int  // answers of a new person that are learned from; 0: all
	Most     int    // answers kept of a person
	NewTexts bool   // the test is on texts that nobody's training has; else on some of a person's own
	Asked    bool   // also choose which texts to ask about
	Some     int    // people in the population at most; 0: half of all
	Brief    bool   // prior, bias and code alone
	Permuted bool   // the labels are dealt anew among people, text by text: no two people then differ by themselves
	More     bool   // also forced ranks and digits, other ways to a code, and other people's codes
	Stems    *Stems // for a single adapter a person, which is measured if they are there; nil: it is not
	Options  population.Options
	Log      func(string)
}

// banks is what all modes of one population share.
type banks struct {
	*population.Model                   // the default: W, and axes if they are worth it
	none              *population.Model // a head alone
	report            *population.Report
	ranks             map[int]*population.Model // for People.More
	people            [][]float64               // z of each of the population's people
	mean              []byte                    // the levels of the population's mean code
	known             map[int]int               // of texts that have parts of their own: the row of Model.Own
	phi               []float32
	centre            []float32 // of φ, as the fits have it
	scale             float32
	lastScale         float32 // of φ's part of the last block, for single adapters
}

// newcomer is a person who is new to a bank.
type newcomer struct {
	who         int // in Answered.People
	train, test []int
}

// Run gives one row for each mode and number of answers, and a line for each population.
func (e *People) Run(ctx context.Context) ([]PeopleRow, []PeopleBank, error) {
	t := newPeopleTally(len(e.Data.People))
	for split := e.First; split < e.First+e.Splits; split++ {
		half := e.halves(split)
		for side := range half {
			if err := e.population(ctx, t, split, side, half[side], half[1-side]); err != nil {
				return nil, nil, fmt.Errorf("split %d: %w", split, err)
			}
		}
	}
	return t.rows(e), t.banks, nil
}

// population trains a bank and measures everybody who is new to it.
func (e *People) population(ctx context.Context, t *peopleTally, split, side int, old, fresh []int) error {
	if e.Some > 0 {
		old = old[:min(e.Some, len(old))]
	}
	held := e.heldTexts(split)
	b, err := e.train(ctx, split, old, held)
	if err != nil {
		return err
	}
	var all []newcomer
	for _, who := range fresh {
		if n := e.newcomer(split, who, held); len(n.train) > 0 && len(n.test) > 0 {
			all = append(all, n)
		}
	}
	bank := newPeopleBank(split, side, b, len(old))
	t.banks = append(t.banks, bank)
	e.log("split %d, side %d: %d people, rank %d, digits %v, head L2 %g, axes L2 %g, bias precision %g, texts' L2 "+
		"%g, gain %.4f ± %.4f", split+1, side+1, len(old), b.report.Rank, b.Digits, b.report.Head, b.report.Axis,
		b.report.Bias, b.report.Text, b.report.Gain, b.report.SE)
	for _, r := range b.report.Trials {
		e.log("  rank %d, head L2 %g, axes L2 %g, bias precision %g, texts' L2 %g: losses %.4f, gain %.4f ± %.4f",
			r.Rank, r.Head, r.Axis, r.Bias, r.Text, r.Loss, r.Gain, r.SE)
	}
	for _, shots := range e.Shots {
		if err := e.measure(ctx, t, b, len(t.banks)-1, all, shots); err != nil {
			return err
		}
	}
	return nil
}

func (e *People) log(format string, args ...any) {
	if e.Log != nil {
		e.Log(fmt.Sprintf(format, args...))
	}
}

// train makes the bank of some people.
func (e *People) train(ctx context.Context, split int, old []int, held []bool) (*banks, error) {
	p := &population.Population{C: len(e.Data.Labels)}
	used := make([]bool, len(held))
	for _, who := range old {
		var a population.Answers
		for _, i := range e.kept(split, who) {
			x := e.Data.People[who]
			if x.Class[i] >= 0 && !held[x.Text[i]] {
				a.Text, a.Class = append(a.Text, int32(x.Text[i])), append(a.Class, int32(x.Class[i]))
				used[x.Text[i]] = true
			}
		}
		p.People = append(p.People, a)
	}
	if e.Permuted {
		deal(p.People, uint64(split))
	}
	p.Phi = e.Data.features(used)
	p.D = len(p.Phi) / len(held)
	p, texts := compact(p, used)
	o := e.Options
	o.NewTexts, o.Seed = e.NewTexts, uint64(split)
	m, r, err := population.Train(ctx, p, &o)
	if err != nil {
		return nil, err
	}
	b := &banks{Model: m, none: m, report: r, phi: e.Data.features(used), known: map[int]int{}}
	if m.J > 0 {
		o.Setting = &population.Setting{Head: r.Head, Bias: r.Bias}
		if b.none, _, err = population.Train(ctx, p, &o); err != nil {
			return nil, err
		}
	}
	if e.More && m.J > 0 {
		if b.ranks, err = forcedRanks(ctx, p, o, m, r); err != nil {
			return nil, err
		}
	}
	for _, of := range append(slices.Collect(maps.Values(b.ranks)), m) { // the texts are the same in all that have any
		for k, t := range of.Known {
			b.known[texts[t]] = k
		}
	}
	if e.Stems != nil {
		if b.lastScale, err = e.Data.scaleOf(b.phi, e.Stems); err != nil {
			return nil, err
		}
	}
	b.standard(p.Phi, p.D)
	return b, b.places(p, texts)
}

// compact drops the texts that nobody of the population answered: a bank knows nothing of them.
// texts are the numbers of the others.
func compact(p *population.Population, used []bool) (out *population.Population, texts []int) {
	out = &population.Population{C: p.C, D: p.D, People: make([]population.Answers, len(p.People))}
	at := make([]int32, len(used))
	for t, u := range used {
		if u {
			at[t] = int32(len(texts))
			texts = append(texts, t)
			out.Phi = append(out.Phi, p.Phi[t*p.D:(t+1)*p.D]...)
		}
	}
	for u, a := range p.People {
		out.People[u].Class = a.Class
		for _, t := range a.Text {
			out.People[u].Text = append(out.People[u].Text, at[t])
		}
	}
	return out, texts
}

// places finds the population's own codes, and their mean.
func (b *banks) places(p *population.Population, texts []int) error {
	sum := make([]float64, b.J)
	for _, a := range p.People {
		e := &population.Examples{}
		for i, t := range a.Text {
			e.Rows = append(e.Rows, b.rows(b.Model, texts[t:t+1])...)
			e.Class = append(e.Class, int(a.Class[i]))
		}
		z, _, err := b.Real(e)
		if err != nil {
			return err
		}
		b.people = append(b.people, z)
		for j, v := range z {
			sum[j] += v / float64(len(p.People))
		}
	}
	for j, v := range sum {
		b.mean = append(b.mean, b.Nearest(j, v))
	}
	return nil
}

// rows are those of some texts, each with its own parts if the population knows it.
func (b *banks) rows(m *population.Model, texts []int) []float64 {
	var out []float64
	for _, t := range texts {
		out = m.Project(out, b.phi[t*m.D:(t+1)*m.D])
		if k, ok := b.known[t]; ok && m.Own != nil {
			m.Know(out[len(out)-m.Width():], k)
		}
	}
	return out
}

// texts are the numbers of a person's texts, and their labels.
func (d *Answered) texts(who int, which []int) (texts, class []int) {
	for _, i := range which {
		texts, class = append(texts, d.People[who].Text[i]), append(class, d.People[who].Class[i])
	}
	return texts, class
}

// answered are those of which that have a label.
func (d *Answered) answered(who int, which []int) []int {
	return slices.DeleteFunc(slices.Clone(which), func(i int) bool { return d.People[who].Class[i] < 0 })
}
