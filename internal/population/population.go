package population

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
)

// Population is what a bank is trained on: people who labelled texts, some of them the same ones.
type Population struct {
	C, D   int       // labels; values of φ
	Phi    []float32 // [T,D]: φ of the texts, each once
	People []Answers
}

// Answers are one person's: the label Class[i] for text Text[i].
type Answers struct{ Text, Class []int32 }

// Options are how a bank is trained. nil, or a zero field, means the default.
type Options struct {
	// numbers of axes to try, ascending; nil: 1, 2, 4 and 8. Rank 0, the head alone, is always
	// tried
	Ranks         []int
	HeadStrengths []float64 // L2 of W to try; nil: 0.03, 0.1, 0.3, 1, 3, 10 and 30, where the mean square of φ is 1
	AxisStrengths []float64 // L2 of V to try; nil: the same, and of more than 300 people more in proportion
	BiasStrengths []float64 // precisions of b to try; nil: 0.3, 1, 3, 10 and 30
	Folds         int       // of people, for the choice; 0: 4
	Shots         []int     // how many answers a held-out person is fitted to; 0 stands for all; nil: 1, 3, 10 and 0
	NewTexts      bool      // held-out people are asked about texts that nobody's training has
	// most people that a choice is made on, a random sample of more; 0: 2,000. The final fit is of
	// all
	ChoicePeople int
	Steps        int // of one fit at most; 0: 120
	Seed         uint64
	ForgetTexts  bool     // no choice of parts that texts have of their own
	Setting      *Setting // taken as it is, without a choice; nil: chosen
	Threads      int      // 0: as many as Go has. The result does not depend on it

	Resume *Resume // nil: what is cut off is lost

	// Progress is called after each fit of the fits that are planned; nil: not at all.
	Progress func(fit, fits int)
}

// Setting is what a choice is about.
type Setting struct {
	Rank       int
	Head, Axis float64 // L2 of W and V, in units of a mean square of φ of 1
	Bias       float64 // β, the precision of b; 0 means 1
	Text       float64 // L2 of texts' own parts, in parts of Head and Axis; 0: none
}

// Limits of what is taken.
const (
	MaxRank   = 8
	MaxLabels = 1 << 10
	MaxTexts  = math.MaxInt32
)

func (o *Options) orDefaults() Options {
	out := Options{}
	if o != nil {
		out = *o
	}
	if len(out.Ranks) == 0 {
		out.Ranks = []int{1, 2, 4, 8}
	}
	if len(out.HeadStrengths) == 0 {
		out.HeadStrengths = []float64{0.03, 0.1, 0.3, 1, 3, 10, 30}
	}
	if len(out.AxisStrengths) == 0 {
		out.AxisStrengths = []float64{0.03, 0.1, 0.3, 1, 3, 10, 30}
	}
	if len(out.BiasStrengths) == 0 {
		out.BiasStrengths = []float64{0.3, 1, 3, 10, 30}
	}
	if len(out.Shots) == 0 {
		out.Shots = []int{1, 3, 10, 0}
	}
	out.HeadStrengths, out.AxisStrengths = slices.Clone(out.HeadStrengths), slices.Clone(out.AxisStrengths)
	slices.Sort(out.HeadStrengths)
	slices.Sort(out.AxisStrengths)
	out.Folds, out.Steps, out.ChoicePeople = cmp.Or(out.Folds, 4), cmp.Or(out.Steps, 120),
		cmp.Or(out.ChoicePeople, 2000)
	if out.Threads <= 0 {
		out.Threads = runtime.GOMAXPROCS(0)
	}
	return out
}

// check finds the first fault of a population and the options, after defaults.
func check(p *Population, o Options) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrConfig}, args...)...)
	}
	if p.C < 2 || p.C > MaxLabels || p.D < 1 || len(p.Phi)%p.D != 0 || len(p.Phi)/p.D > MaxTexts {
		return bad("%d labels, %d values of texts of %d", p.C, len(p.Phi), p.D)
	}
	for i, v := range p.Phi {
		if !(math.Abs(float64(v)) <= 1e9) {
			return bad("text %d has the value %g", i/p.D, v)
		}
	}
	texts := int32(len(p.Phi) / p.D)
	for u, a := range p.People {
		if len(a.Text) != len(a.Class) {
			return bad("person %d has %d texts and %d labels", u, len(a.Text), len(a.Class))
		}
		for i, t := range a.Text {
			if t < 0 || t >= texts || a.Class[i] < 0 || int(a.Class[i]) >= p.C {
				return bad("person %d: label %d for text %d", u, a.Class[i], t)
			}
		}
	}
	if len(p.People) == 0 || o.Folds < 2 || o.ChoicePeople < 2 {
		return bad("%d people in %d folds, a choice on %d", len(p.People), o.Folds, o.ChoicePeople)
	}
	if !slices.IsSorted(o.Ranks) || o.Ranks[0] < 1 || o.Ranks[len(o.Ranks)-1] > MaxRank {
		return bad("ranks %v, want some of 1 to %d, ascending", o.Ranks, MaxRank)
	}
	if s := o.Setting; s != nil &&
		(s.Rank < 0 || s.Rank > MaxRank || !(s.Head > 1e-9) || s.Rank > 0 && !(s.Axis > 1e-9) ||
			!(s.Bias >= 0 && s.Bias < 1e9 && s.Text >= 0 && s.Text < 1e9) || s.Rank == 0 && s.Text > 0) {
		return bad("the setting %+v", *s)
	}
	for _, s := range slices.Concat(o.HeadStrengths, o.AxisStrengths, o.BiasStrengths) {
		if !(s > 1e-9 && s < 1e9) {
			return bad("a strength of %g", s)
		}
	}
	for _, n := range o.Shots {
		if n < 0 {
			return bad("a fit to %d answers", n)
		}
	}
	return nil
}

// ErrConfig is returned for a population, options or examples that cannot be learned from; the
// error says what is wrong.
var ErrConfig = errors.New("population: invalid input")
