package population

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/xpeft/xpeft/internal/numeric"
)

// Report says what was tried and what the bank's axes are worth to people who did not train it.
type Report struct {
	People, Texts, Answers int
	Setting
	Gain, SE float64 // in log-loss, over the head with biases or label prior; 0 at rank 0
	Trials   []Trial // the first is that of rank 0; nil if the setting was given
}

// Train learns a head for everybody and, where people differ in a way that others share, axes on
// which they do. ctx ends it within one evaluation.
func Train(ctx context.Context, p *Population, o *Options) (*Model, *Report, error) {
	opt := o.orDefaults()
	if err := check(p, opt); err != nil {
		return nil, nil, err
	}
	used, answers := make([]bool, len(p.Phi)/p.D), 0
	for _, a := range p.People {
		answers += len(a.Text)
		for _, t := range a.Text {
			used[t] = true
		}
	}
	some := p.some(opt.ChoicePeople, opt.Seed)
	if o == nil || len(o.AxisStrengths) == 0 {
		for i, lambda := range opt.AxisStrengths {
			opt.AxisStrengths[i] = crowdedStrength(lambda, len(some.People), crowded)
		}
	}
	c := newChooser(some, newSpace(p, used, opt.Setting != nil, opt.Threads), opt)
	chosen := &Trial{}
	if opt.Setting != nil {
		chosen.Setting = *opt.Setting
	} else if err := c.choose(ctx, chosen); err != nil {
		return nil, nil, err
	}
	if c.space.rough {
		c.space = newSpace(p, used, true, opt.Threads)
	}
	c.Population, c.folds = p, nil
	setting := chosen.Setting
	if opt.Setting == nil {
		setting.Axis = crowdedStrength(setting.Axis, len(p.People), len(some.People))
	}
	m, err := c.final(ctx, setting)
	if err != nil {
		return nil, nil, err
	}
	r := &Report{People: len(p.People), Texts: len(used), Answers: answers, Setting: chosen.Setting,
		Gain: chosen.Gain, SE: chosen.SE}
	for _, t := range c.trials {
		r.Trials = append(r.Trials, *t)
	}
	return m, r, nil
}

// final fits everybody with the setting that was chosen.
func (c *chooser) final(ctx context.Context, t Setting) (*Model, error) {
	j := newJoint(c.space, c.People, c.C, c.options.Threads)
	j.as(Setting{Head: t.Head})
	x := make([]float64, c.C*(c.space.dim+1))
	if err := c.minimize(ctx, j, x, exactly); err != nil {
		return nil, err
	}
	if t.Rank > 0 {
		j.objective(x, make([]float64, len(x)))
		directions := j.directions(t.Rank, c.options.Seed)
		j.as(t)
		x = j.start(x, directions, t.Rank)
		if err := c.minimize(ctx, j, x, exactly); err != nil {
			return nil, err
		}
	}
	c.fit = c.fits
	m := j.model(x, c.Population)
	m.Beta = cmp.Or(t.Bias, 1)
	return m, nil
}

// model turns z to its principal axes, and rows to those over φ as it was given.
func (j *joint) model(x []float64, p *Population) *Model {
	m := &Model{C: p.C, D: p.D, J: j.rank, Counts: make([]uint32, p.C)}
	for _, a := range p.People {
		for _, c := range a.Class {
			m.Counts[c]++
		}
	}
	x = j.principal(x)
	w, own := j.parts(x)
	size := p.C * (j.dim + 1)
	m.W, m.A = j.flatten(w[:size])
	m.V, m.B = j.flatten(w[size:])
	if len(own) > 0 {
		m.Own, m.Known = numeric.Narrow(own), j.known
	}
	m.round()
	effect := j.effects(x)
	for k := range j.rank {
		m.Range = append(m.Range, span)
		m.Digits = append(m.Digits, digitsOf(effect[k], effect))
	}
	return m
}

func (j *joint) flatten(rows []float64) (w, bias []float32) {
	width := j.dim + 1
	for r := range len(rows) / width {
		raw, b := j.raw(rows[r*width : (r+1)*width])
		w, bias = append(w, numeric.Narrow(raw)...), append(bias, float32(b))
	}
	return w, bias
}

// principal turns and scales V so that people's z do not correlate and have a standard deviation of
// 1, as their prior says; widest first. The fit itself leaves open how much of an axis' strength is
// in V and how much in z: where V is large and z narrow, the prior would hold nobody back who has
// said little.
func (j *joint) principal(x []float64) []float64 {
	J, n := j.rank, j.rank+j.labels
	j.fill(x)
	j.solve()
	mean, cov := make([]float64, J), make([]float64, J*J)
	people := float64(len(j.people))
	for u := range j.people {
		numeric.Add(mean, 1/people, j.codes[u*n:u*n+J])
	}
	for u := range j.people {
		for k := range J {
			for l := range J {
				cov[k*J+l] += (j.codes[u*n+k] - mean[k]) * (j.codes[u*n+l] - mean[l]) / people
			}
		}
	}
	turn, vectors := eigen(cov, J)
	for k, v := range vectors {
		vectors[k] = v * math.Sqrt(max(turn[k/J], 1e-12))
	}
	return j.turned(x, vectors)
}

// turned is x with axes that are weighted sums of those that it has: by, [J,J].
func (j *joint) turned(x, by []float64) []float64 {
	J, C := j.rank, j.labels
	out := slices.Clone(x)
	turn := func(to, from []float64) {
		clear(to)
		for k := range J {
			size := len(to) / J
			for l := range J {
				numeric.Add(to[k*size:(k+1)*size], by[k*J+l], from[l*size:(l+1)*size])
			}
		}
	}
	w, own := j.parts(out)
	size, width := C*(j.dim+1), (1+J)*C
	turn(w[size:], x[size:len(w)])
	for at := 0; at < len(own); at += width {
		turn(own[at+C:at+width], x[len(w)+at+C:len(w)+at+width])
	}
	return out
}

// effects are how much each axis moves a logit where z is 1, mean square over the answers.
func (j *joint) effects(x []float64) []float64 {
	J, C := j.rank, j.labels
	j.fill(x)
	out := make([]float64, J)
	for t := range j.texts {
		n := float64(j.textAt[t+1]-j.textAt[t]) / float64(max(1, len(j.owner)))
		for k := range J {
			at := j.rows[t*(1+J)*C+(1+k)*C:][:C]
			out[k] += n * numeric.Dot(at, at)
		}
	}
	return out
}

// some is the population with a random sample of its people, if there are more.
func (p *Population) some(people int, seed uint64) *Population {
	if len(p.People) <= people {
		return p
	}
	out := *p
	out.People = make([]Answers, people)
	for i, u := range rand.New(rand.NewPCG(seed, 0x736f6d65)).Perm(len(p.People))[:people] {
		out.People[i] = p.People[u]
	}
	return &out
}

// crowded is how many people the default strengths of axes are for, at most.
const crowded = 300

// crowdedStrength is a strength of axes for more people than it was meant for. Where the fit ends,
// people's summed z² are λ_V times V's squares: with the same λ_V, more people have a smaller z on
// larger axes, and a new person's z, whose prior does not change, is too free. So λ_V is in
// proportion to the people.
func crowdedStrength(lambda float64, people, meant int) float64 {
	return lambda * max(1, float64(people)/float64(meant))
}
