package population

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// Trial is what held-out people lose with one setting.
type Trial struct {
	Setting
	Counts   bool      // at rank 0: with the label prior, which loses no more than fitted biases do
	Loss     []float64 // mean log-loss by Options.Shots
	Gain, SE float64   // over rank 0, the mean of all shots, and its standard error over people
	ShotGain []float64 // the same by Options.Shots; nil at rank 0
	ShotSE   []float64

	all   losses   // the mean of all shots
	shots []losses // by Options.Shots
}

// gains fills in what t gains over rank 0.
func (t *Trial) gains(none *Trial) {
	t.Gain, t.SE = t.all.less(&none.all)
	for k := range t.shots {
		gain, se := t.shots[k].less(&none.shots[k])
		t.ShotGain, t.ShotSE = append(t.ShotGain, gain), append(t.ShotSE, se)
	}
}

// surely is how many standard errors the gain of any axes over none must be: the lower end of its
// 90 % interval is above 0. A larger rank has to be better than a smaller one by one standard error
// only: what is at stake there is less.
const surely = 1.645

// chooser is the cross-validation over people.
type chooser struct {
	*Population
	options Options
	space   *space
	folds   []*fold
	fit     int
	fits    int
	trials  []*Trial
}

// fold is one part of the people held out.
type fold struct {
	joint      *joint
	who        []int     // the people who are held out
	held       [][]held  // of each of them, as often as they are divided
	head       []float64 // W that was chosen
	directions []float64 // there
	counts     []uint32  // labels of those who train
}

// held is a person who is not trained on.
type held struct{ fit, test Answers }

// roughly and exactly are the shares of the loss that a step must gain, in a choice and in the
// final fit.
const (
	roughly = 1e-5
	exactly = 1e-6
)

// tested is the share of a held-out person's answers that are predicted from the others.
const tested = 0.3

func newChooser(p *Population, s *space, o Options) *chooser {
	c := &chooser{Population: p, space: s, options: o}
	rng, rounds := rand.New(rand.NewPCG(o.Seed, 0x666f6c6473)), 1
	if o.NewTexts {
		rounds = draws
	}
	c.fits = rounds*o.Folds*(len(o.HeadStrengths)+len(o.Ranks)*len(o.AxisStrengths)+
		len(beside.head)*len(beside.axis)) + 2
	for range rounds {
		people, texts := rng.Perm(len(p.People)), rng.Perm(s.texts)
		for f := range o.Folds {
			withheld := func(t int32) bool { return o.NewTexts && texts[t]%o.Folds == f }
			c.folds = append(c.folds, c.fold(func(u int) bool { return people[u]%o.Folds == f }, withheld, rng))
		}
	}
	return c
}

// fold holds some people out and, for everybody, some texts.
func (c *chooser) fold(out func(u int) bool, withheld func(text int32) bool, rng *rand.Rand) *fold {
	part := &fold{counts: make([]uint32, c.C)}
	var train []Answers
	for u, a := range c.People {
		if out(u) {
			if h := divide(a, rng, c.options.NewTexts, withheld); len(h) > 0 {
				part.who, part.held = append(part.who, u), append(part.held, h)
			}
			continue
		}
		if a = without(a, withheld); len(a.Text) > 0 {
			train = append(train, a)
		}
		for _, class := range a.Class {
			part.counts[class]++
		}
	}
	part.joint = newJoint(c.space, train, c.C, c.options.Threads)
	part.joint.enough = loosely
	return part
}

// draws is how often people and texts are divided where texts are held out: a fold asks everybody
// about the same few.
const draws = 3

// divisions is how often a held-out person's answers are divided and shuffled: what they lose then
// depends less on which answers are first.
const divisions = 5

// divide keeps some of a person's answers back: those to withheld texts, or a share of all. Where
// nothing is left to fit or to test, there is no division.
func divide(a Answers, rng *rand.Rand, newTexts bool, withheld func(int32) bool) (all []held) {
	test := max(1, int(math.Round(tested*float64(len(a.Text)))))
	for range divisions {
		var h held
		for k, i := range rng.Perm(len(a.Text)) {
			to := &h.fit
			if newTexts && withheld(a.Text[i]) || !newTexts && k < test {
				to = &h.test
			}
			to.Text, to.Class = append(to.Text, a.Text[i]), append(to.Class, a.Class[i])
		}
		if len(h.fit.Text) > 0 && len(h.test.Text) > 0 {
			all = append(all, h)
		}
	}
	return all
}

func without(a Answers, withheld func(int32) bool) (out Answers) {
	for i, t := range a.Text {
		if !withheld(t) {
			out.Text, out.Class = append(out.Text, t), append(out.Class, a.Class[i])
		}
	}
	return out
}

// choose tries ranks and strengths until more axes gain nothing, and writes what is worth it to
// result.
func (c *chooser) choose(ctx context.Context, result *Trial) error {
	none, err := c.rankZero(ctx)
	if err != nil {
		return err
	}
	chosen, best, below, above := none, none, 0, MaxRank+1 // above is the next rank that is not worth it
	for _, rank := range c.options.Ranks {
		t, err := c.bestOf(ctx, none.with(rank), none, c.options.AxisStrengths)
		if err != nil {
			return err
		}
		if t.worth(chosen) {
			chosen, below, above = t, chosen.Rank, MaxRank+1
		} else {
			above = min(above, rank)
		}
		if t.Gain <= (1+worthwhile)*best.Gain {
			break
		}
		best = t
	}
	*result, err = c.between(ctx, none, chosen, best, below, above)
	if err != nil || result.Rank == 0 {
		return err
	}
	return c.own(ctx, none, result)
}

// beside are the strengths of head and axes that are tried with own parts, in parts of the chosen
// ones: own parts move texts as much again, and where texts speak for themselves, W and V need not
// bend to single ones.
var beside = struct{ head, axis []float64 }{[]float64{1, 3, 10}, []float64{1, 3, 10, 30}}

// own tries own parts of the known texts beside what was chosen.
func (c *chooser) own(ctx context.Context, none, chosen *Trial) error {
	if c.options.ForgetTexts || !slices.ContainsFunc(c.folds, func(f *fold) bool { return len(f.joint.known) > 0 }) {
		return nil
	}
	var strengths []float64
	for _, share := range beside.axis {
		strengths = append(strengths, share*chosen.Axis)
	}
	var best *Trial
	s := chosen.Setting
	s.Text = 1
	for _, share := range beside.head {
		s.Head = share * chosen.Head
		t, err := c.bestOf(ctx, s, none, strengths)
		if err != nil {
			return err
		}
		if best != nil && t.all.mean() >= best.all.mean() {
			break
		}
		best = t
	}
	if best.worth(chosen) {
		*chosen = *best
	}
	return nil
}

// between tries the ranks between those of the ladder, above and below the chosen one, at the
// strengths that were best.
func (c *chooser) between(ctx context.Context, none, chosen, best *Trial, below, above int) (Trial, error) {
	strengths := []float64{chosen.Axis}
	if best.Axis > chosen.Axis {
		strengths = append(strengths, best.Axis)
	}
	for chosen.Rank > 0 && above <= MaxRank && above-chosen.Rank > 1 {
		t, err := c.bestOf(ctx, none.with((chosen.Rank+above)/2), none, strengths)
		if err != nil {
			return *chosen, err
		}
		if t.worth(chosen) {
			chosen, below = t, chosen.Rank
		} else {
			above = t.Rank
		}
	}
	for chosen.Rank-below > 1 {
		t, err := c.bestOf(ctx, none.with((chosen.Rank+below)/2), none, strengths)
		if err != nil {
			return *chosen, err
		}
		if chosen.worth(t) || !t.worth(none) {
			below = t.Rank
		} else {
			chosen = t
		}
	}
	return *chosen, nil
}

// However sure a gain is, it must be worth everybody's byte an axis: any axes must gain the share
// anything of what is lost without, and a larger rank must add the share worthwhile of what the
// smaller one gains.
const (
	anything   = 0.01
	worthwhile = 0.02
)

// worth says whether t is so much better that it may be larger.
func (t *Trial) worth(smaller *Trial) bool {
	gain, se := t.all.less(&smaller.all)
	least := max(se, worthwhile*smaller.Gain)
	if smaller.Rank == 0 {
		least = max(surely*se, anything*smaller.all.mean())
	}
	return len(t.all.people) > 1 && gain > least
}

// rankZero finds the strength of the head, then that of b. Its losses are those of fitted biases or
// of the label prior, whichever are less.
func (c *chooser) rankZero(ctx context.Context) (none *Trial, err error) {
	heads := make([][]float64, len(c.folds))
	for k := range heads {
		heads[k] = make([]float64, c.C*(c.space.dim+1))
	}
	for _, lambda := range c.options.HeadStrengths {
		s := Setting{Head: lambda, Bias: 1}
		for k, f := range c.folds {
			f.joint.as(s)
			if err := c.minimize(ctx, f.joint, heads[k], roughly); err != nil {
				return nil, err
			}
		}
		counted := c.scored(s, heads, countPrior)
		counted.Counts = true
		t := counted.least(c.scored(s, heads, fitBias))
		if none == nil || t.all.mean() < none.all.mean() {
			none = t
			for k, f := range c.folds {
				f.head = slices.Clone(heads[k])
			}
		}
	}
	for k, f := range c.folds {
		heads[k] = f.head
		f.joint.as(none.Setting)
	}
	none = c.biases(none, heads)
	c.trials = append(c.trials, none)
	for _, f := range c.folds {
		f.joint.fill(f.head)
		f.joint.solve()
		f.directions = f.joint.directions(MaxRank, c.options.Seed)
	}
	return none, nil
}

// biases finds the precision of b that is best for those with nothing else of their own. A fit
// itself is held to that of 1: it has many answers of each person, and what b may not take, an axis
// would.
func (c *chooser) biases(none *Trial, heads [][]float64) *Trial {
	var best *Trial
	for _, beta := range c.options.BiasStrengths {
		best = c.scored(Setting{Head: none.Head, Bias: beta}, heads, fitBias).least(best)
	}
	none.Bias = best.Bias
	return best.least(none)
}

// scored is what held-out people lose at each fold's x.
func (c *chooser) scored(s Setting, x [][]float64, fit func(*fold, *solver, Answers, []float64)) *Trial {
	t := &Trial{Setting: s}
	for k, f := range c.folds {
		f.joint.fill(x[k])
		c.score(t, f, fit)
	}
	c.close(t)
	return t
}

// least is the one that loses less; other may be nil.
func (t *Trial) least(other *Trial) *Trial {
	if other != nil && other.all.mean() <= t.all.mean() {
		return other
	}
	return t
}

// with is the setting with some axes.
func (s Setting) with(rank int) Setting {
	s.Rank = rank
	return s
}

// bestOf tries a setting at some strengths of the axes, from the weakest on, until two in a row are
// no better: each fit starts where the one before ended, as axes that were shrunk to nothing do not
// come back.
func (c *chooser) bestOf(ctx context.Context, s Setting, none *Trial, strengths []float64) (best *Trial, err error) {
	x := make([][]float64, len(c.folds))
	for k, worse := 0, 0; k < len(strengths) && worse < 2; k++ {
		s.Axis = strengths[k]
		t, err := c.try(ctx, s, none, x)
		if err != nil {
			return nil, err
		}
		if worse++; best == nil || t.all.mean() < best.all.mean() {
			best, worse = t, 0
		}
	}
	return best, nil
}

// try fits a setting from x on, which it changes; nil: from the head and the directions.
func (c *chooser) try(ctx context.Context, s Setting, none *Trial, x [][]float64) (*Trial, error) {
	scaled := make([][]float64, len(x))
	for k, f := range c.folds {
		f.joint.as(s)
		if x[k] == nil {
			x[k] = f.joint.start(f.head, f.directions, s.Rank)
		}
		if err := c.minimize(ctx, f.joint, x[k], roughly); err != nil {
			return nil, err
		}
		scaled[k] = f.joint.principal(x[k])
	}
	t := c.scored(s, scaled, fitBias)
	t.gains(none)
	c.trials = append(c.trials, t)
	return t, nil
}
