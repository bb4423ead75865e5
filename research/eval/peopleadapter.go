package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/learner/population"
	"github.com/xpeft/xpeft/model"
)

// SharedAdapter trains one adapter in the encoder's last block for everybody, under a population's head and axes.
type SharedAdapter struct {
	Engine     engine.Engine
	Rows       engine.Rows // all texts, with their stems
	Bottleneck int
	Rate       float64   // of AdamW, with a decay of 0.01
	Steps      []int     // to choose from, ascending from 0
	Times      []float64 // strengths of head and axes to choose from, in parts of those that are best without an adapter
	Refit      int       // steps after which head and axes are fitted again
	Folds      int       // of held-out people
	Own        float64   // beside φ, a value of each text's own; 0: none
	Every      bool      // measure every choice
	Room       bool      // measure only what texts' own parts could still gain
}

// Stems computes all texts' states below the adapter.
func (m *Machine) Stems(ctx context.Context, s *SharedAdapter, d *Data, least int, drop []string) error {
	_, texts := answers(d, least, drop)
	s.Engine, s.Rows = m.Engine, engine.Rows{Texts: make([]model.Encoding, len(texts)), From: m.Encoder.Blocks() - 1}
	for i, t := range texts {
		m.Tokenizer.Encode(&s.Rows.Texts[i], t.Text, t.Pair, m.MaxTokens)
	}
	var err error
	s.Rows.Stems, err = m.Engine.Stems(ctx, s.Rows.Texts, s.Rows.From)
	return err
}

// adapting is one training.
type adapting struct {
	*SharedAdapter
	setting population.Setting
	hidden  int
	people  []population.Answers
	labels  int
	phi     []float32 // of all texts; the last tap's part changes
	dim     int
	mean    []float64 // of the last tap
	scale   float64
	used    []bool
	adapter *model.Adapter
	m, v    *model.Adapter
	step    int
	model   *population.Model
	loss    float64
}

func (s *SharedAdapter) start(ctx context.Context, d *Answered, p []population.Answers, setting population.Setting) (*adapting, error) {
	t := &adapting{SharedAdapter: s, setting: setting, hidden: d.Hidden, people: p, labels: len(d.Labels), dim: len(d.Taps) * d.Hidden, used: make([]bool, len(d.Answers))}
	for _, a := range p {
		for _, x := range a.Text {
			t.used[x] = true
		}
	}
	t.phi = slices.Clone(d.features(t.used))
	n, from := 0.0, t.dim-t.hidden
	t.mean = make([]float64, t.hidden)
	for x, u := range t.used {
		if u {
			n++
			for i, v := range d.States[x*t.dim+from : (x+1)*t.dim] {
				t.mean[i] += float64(v)
			}
		}
	}
	square := 0.0
	for i := range t.mean {
		t.mean[i] /= n
	}
	for x, u := range t.used {
		if u {
			for i, v := range d.States[x*t.dim+from : (x+1)*t.dim] {
				square += (float64(v) - t.mean[i]) * (float64(v) - t.mean[i]) / n
			}
		}
	}
	t.scale = 1 / math.Sqrt(square*float64(len(d.Taps)))
	if s.Own > 0 {
		t.ownParts()
	}
	rng := rand.New(rand.NewPCG(mix("adapter"), 1))
	t.adapter = &model.Adapter{Blocks: 1, Bottleneck: s.Bottleneck, Activation: model.ReLU, Down: make([]float32, t.hidden*s.Bottleneck), DownBias: make([]float32, s.Bottleneck),
		Up: make([]float32, t.hidden*s.Bottleneck), UpBias: make([]float32, t.hidden)}
	for i := range t.adapter.Down {
		t.adapter.Down[i] = float32(0.02 * rng.NormFloat64())
	}
	t.m, t.v = t.adapter.Zero(), t.adapter.Zero()
	return t, t.refit(ctx)
}

// ownParts puts one value of each text before its φ.
func (t *adapting) ownParts() {
	texts := len(t.used)
	phi := make([]float32, 0, texts*(texts+t.dim))
	for x := range texts {
		own := make([]float32, texts)
		own[x] = float32(t.Own)
		phi = append(append(phi, own...), t.phi[x*t.dim:(x+1)*t.dim]...)
	}
	t.phi, t.dim = phi, texts+t.dim
}

// embed computes φ under the adapter.
func (t *adapting) embed(ctx context.Context) error {
	x := make([]float32, len(t.Rows.Texts)*t.hidden)
	if err := t.Engine.Embed(ctx, t.Rows, []*model.Adapter{t.adapter}, x, nil, nil); err != nil {
		return err
	}
	for i := range t.Rows.Texts {
		t.last(t.phi[i*t.dim:(i+1)*t.dim], x[i*t.hidden:(i+1)*t.hidden])
	}
	return nil
}

func (t *adapting) last(phi, x []float32) {
	to := phi[t.dim-t.hidden:]
	for k, v := range x {
		to[k] = float32((float64(v) - t.mean[k]) * t.scale)
	}
}

// refit fits head and axes to φ as it is.
func (t *adapting) refit(ctx context.Context) error {
	if err := t.embed(ctx); err != nil {
		return err
	}
	p := compact(&population.Population{C: t.labels, D: t.dim, Phi: t.phi, People: t.people}, t.used)
	var err error
	t.model, _, err = population.Train(ctx, p, &population.Options{Setting: &t.setting})
	return err
}

// learn takes steps up to a number of them.
func (t *adapting) learn(ctx context.Context, steps int) error {
	for t.step < steps {
		if err := t.take(ctx); err != nil {
			return err
		}
		if t.step%t.Refit == 0 || t.step == steps {
			if err := t.refit(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// take is one step over all texts. People's z and b are those that are best under φ as it is.
func (t *adapting) take(ctx context.Context) error {
	if err := t.embed(ctx); err != nil {
		return err
	}
	type answer struct {
		class int
		z, b  []float64
	}
	byText, m := make([][]answer, len(t.used)), t.model
	rows := make([][]float64, len(t.used))
	if err := each(len(rows), runtime.GOMAXPROCS(0), func(i int) error {
		if t.used[i] {
			rows[i] = m.Project(nil, t.phi[i*t.dim:(i+1)*t.dim])
		}
		return nil
	}); err != nil {
		return err
	}
	for _, a := range t.people {
		e := &population.Examples{}
		for i, x := range a.Text {
			e.Rows, e.Class = append(e.Rows, rows[x]...), append(e.Class, int(a.Class[i]))
		}
		z, b, err := m.Real(e)
		if err != nil {
			return err
		}
		for i, x := range a.Text {
			byText[x] = append(byText[x], answer{int(a.Class[i]), z, b})
		}
	}
	C, from := m.C, t.dim-t.hidden
	losses := make([]float64, len(rows))
	var which []int
	r := engine.Rows{From: t.Rows.From}
	for i, u := range t.used {
		if u {
			which = append(which, i)
			r.Texts, r.Stems = append(r.Texts, t.Rows.Texts[i]), append(r.Stems, t.Rows.Stems[i])
		}
	}
	g, err := t.Engine.Gradient(ctx, r, []*model.Adapter{t.adapter}, func(at int, x, dx []float32) {
		i := which[at]
		row, sum, logits := rows[i], make([]float64, m.Width()), make([]float64, C)
		for _, a := range byText[i] {
			for c := range C {
				logits[c] = row[c] + a.b[c]
				for j, z := range a.z {
					logits[c] += z * row[(1+j)*C+c]
				}
			}
			loss, _ := logLoss(logits, a.class)
			losses[i] += loss
			lse := loss + logits[a.class]
			for c, v := range logits {
				d := math.Exp(v - lse)
				if c == a.class {
					d--
				}
				sum[c] += d
				for j, z := range a.z {
					sum[(1+j)*C+c] += z * d
				}
			}
		}
		for k := range dx {
			v := 0.0
			for w, s := range sum {
				if w < C {
					v += s * float64(m.W[w*m.D+from+k])
				} else {
					v += s * float64(m.V[(w-C)*m.D+from+k])
				}
			}
			dx[k] = float32(v * t.scale)
		}
	})
	if err != nil {
		return err
	}
	t.loss = 0
	for _, l := range losses {
		t.loss += l
	}
	t.adam(g[0])
	return nil
}

// adam is one step of AdamW.
func (t *adapting) adam(g *model.Adapter) {
	const beta1, beta2, eps = 0.9, 0.999, 1e-8
	t.step++
	c1, c2 := 1-math.Pow(beta1, float64(t.step)), 1-math.Pow(beta2, float64(t.step))
	parts := func(a *model.Adapter) [][]float32 { return [][]float32{a.Down, a.DownBias, a.Up, a.UpBias} }
	value, m, v := parts(t.adapter), parts(t.m), parts(t.v)
	for k, grad := range parts(g) {
		for i, d := range grad {
			m[k][i] += (1 - beta1) * (d - m[k][i])
			v[k][i] += (1 - beta2) * (d*d - v[k][i])
			value[k][i] -= float32(t.Rate * (float64(m[k][i])/c1/(math.Sqrt(float64(v[k][i])/c2)+eps) + 0.01*float64(value[k][i])))
		}
	}
}

// heldLoss is what people who were held out lose, the mean of several numbers of answers.
func (t *adapting) heldLoss(people []population.Answers, withheld []bool, seed uint64) (mean []float64, err error) {
	rng := rand.New(rand.NewPCG(seed, 7))
	rows := map[int32][]float64{}
	for _, a := range people {
		total, n := 0.0, 0.0
		for range 3 {
			fit, test := &population.Examples{}, &population.Examples{}
			order := rng.Perm(len(a.Text))
			for k, i := range order {
				to := fit
				if withheld != nil && withheld[a.Text[i]] || withheld == nil && k < max(1, int(math.Round(heldShare*float64(len(order))))) {
					to = test
				}
				x := a.Text[i]
				if rows[x] == nil {
					rows[x] = t.model.Project(nil, t.phi[int(x)*t.dim:(int(x)+1)*t.dim])
				}
				to.Rows, to.Class = append(to.Rows, rows[x]...), append(to.Class, int(a.Class[i]))
			}
			if len(fit.Class) == 0 || len(test.Class) == 0 {
				continue
			}
			for _, shots := range []int{1, 3, 10, 0} {
				some := *fit
				if shots > 0 && shots < len(fit.Class) {
					some.Rows, some.Class = fit.Rows[:shots*t.model.Width()], fit.Class[:shots]
				}
				z, b, err := t.model.Real(&some)
				if err != nil {
					return nil, err
				}
				for k, c := range test.Class {
					row := test.Rows[k*t.model.Width():]
					logits := slices.Clone(row[:t.model.C])
					for j := range logits {
						logits[j] += b[j]
						for q, v := range z {
							logits[j] += v * row[(1+q)*t.model.C+j]
						}
					}
					loss, _ := logLoss(logits, c)
					total, n = total+loss/float64(len(test.Class)), n+1/float64(len(test.Class))
				}
			}
		}
		if n > 0 {
			mean = append(mean, total/n)
		}
	}
	return mean, nil
}

// adapterChoice is one strength and number of steps.
type adapterChoice struct {
	times  float64
	steps  int
	losses []float64 // of each held-out person
}

func (c *adapterChoice) less(than *adapterChoice) (gain, se float64) {
	n := float64(len(c.losses))
	for i, v := range c.losses {
		gain += (than.losses[i] - v) / n
	}
	for i, v := range c.losses {
		se += (than.losses[i] - v - gain) * (than.losses[i] - v - gain)
	}
	return gain, math.Sqrt(se) / n
}

// adapted chooses by a population's own held-out people.
func (e *People) adapted(ctx context.Context, name string, split int, people []population.Answers, held []bool, setting population.Setting) (*adapterChoice, error) {
	var all []*adapterChoice
	for _, m := range e.Adapter.Times {
		for _, s := range e.Adapter.Steps {
			if s > 0 || m == e.Adapter.Times[0] {
				all = append(all, &adapterChoice{times: m, steps: s})
			}
		}
	}
	rng := rand.New(rand.NewPCG(mix("adapter folds"), uint64(split)))
	order, texts := rng.Perm(len(people)), rng.Perm(len(held))
	for f := range e.Adapter.Folds {
		var train, out []population.Answers
		var withheld []bool
		if e.NewTexts {
			withheld = make([]bool, len(held))
			for i := range withheld {
				withheld[i] = texts[i]%4 == f
			}
		}
		for u, a := range people {
			if order[u]%max(e.Adapter.Folds, 3) == f {
				out = append(out, a)
				continue
			}
			if withheld != nil {
				var b population.Answers
				for i, x := range a.Text {
					if !withheld[x] {
						b.Text, b.Class = append(b.Text, x), append(b.Class, a.Class[i])
					}
				}
				a = b
			}
			train = append(train, a)
		}
		var t *adapting
		times := 0.0
		for _, c := range all {
			if t == nil || c.steps < t.step || c.steps == 0 || c.times != times {
				times = c.times
				var err error
				if t, err = e.Adapter.start(ctx, e.Data, train, stronger(setting, c.times)); err != nil {
					return nil, err
				}
			}
			if err := t.learn(ctx, c.steps); err != nil {
				return nil, err
			}
			l, err := t.heldLoss(out, withheld, uint64(f))
			if err != nil {
				return nil, err
			}
			c.losses = append(c.losses, l...)
		}
	}
	best := all[0]
	var line []string
	for _, c := range all {
		gain, se := c.less(all[0])
		line = append(line, fmt.Sprintf("×%g %d: %+.4f±%.4f", c.times, c.steps, gain, se))
		if g, _ := c.less(best); g > 0 {
			best = c
		}
	}
	e.log("  %s, held out: %s", name, strings.Join(line, ", "))
	if gain, se := best.less(all[0]); gain <= se {
		best = all[0]
	}
	return best, nil
}

func stronger(s population.Setting, times float64) population.Setting {
	s.Head, s.Axis = times*s.Head, times*s.Axis
	return s
}

// withAdapter measures new people over the adapted φ.
func (e *People) withAdapter(ctx context.Context, t *peopleTally, split int, old []int, held []bool, b *banks, bank int, all []newcomer) error {
	if e.Adapter.Room {
		return e.room(b, all)
	}
	people := e.answersOf(split, old, held)
	for _, s := range []struct {
		name    string
		setting population.Setting
	}{{"A+B+H", b.report.Setting}, {"A+B", population.Setting{Head: b.report.Head}}} {
		if s.name == "A+B" && (e.Adapter.Every) {
			continue
		}
		best, err := e.adapted(ctx, s.name, split, people, held, s.setting)
		if err != nil {
			return err
		}
		for _, m := range e.Adapter.Times {
			if m != best.times && !e.Adapter.Every {
				continue
			}
			a, err := e.Adapter.start(ctx, e.Data, people, stronger(s.setting, m))
			if err != nil {
				return err
			}
			for _, steps := range e.Adapter.Steps {
				if err := a.learn(ctx, steps); err != nil {
					return err
				}
				var names []string
				if m == best.times && steps == best.steps {
					e.log("  %s: ×%g, %d steps", s.name, m, steps)
					names = append(names, s.name+" chosen")
				}
				if e.Adapter.Every {
					names = append(names, fmt.Sprintf("%s ×%g %d", s.name, m, steps))
				}
				for _, name := range names {
					if err := e.measureAdapted(ctx, t, name, a, b, bank, all); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (e *People) measureAdapted(ctx context.Context, t *peopleTally, name string, a *adapting, b *banks, bank int, all []newcomer) error {
	nb := &banks{Model: a.model, none: a.model, report: b.report, phi: slices.Clone(a.phi)}
	for _, shots := range e.Shots {
		err := each(len(all), runtime.GOMAXPROCS(0), func(i int) error {
			n := all[i]
			p := &serving{People: e, banks: nb, newcomer: n, bank: bank, shots: shots, tally: t}
			p.own, p.test = e.examples(nb, nb.Model, n, e.first(n, shots)), e.examples(nb, nb.Model, n, n.test)
			p.prior(name+" prior", nb.Model, p.own, p.test)
			c, err := nb.Fit(ctx, p.own)
			if err != nil {
				return err
			}
			if a.model.J == 0 {
				p.prior(name, nb.Model, p.own, p.test)
				p.answer(name+" bias", 1, func(dst, row []float64) []float64 { return nb.Logits(dst, row, c) })
				return nil
			}
			p.answer(name, 1, func(dst, row []float64) []float64 { return nb.Logits(dst, row, c) })
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *People) adapterModes() (names []string) {
	if e.Adapter == nil {
		return nil
	}
	for _, n := range []string{"A+B+H", "A+B"} {
		of := []string{n + " chosen"}
		if e.Adapter.Every {
			for _, m := range e.Adapter.Times {
				for _, s := range e.Adapter.Steps {
					of = append(of, fmt.Sprintf("%s ×%g %d", n, m, s))
				}
			}
		}
		for _, s := range of {
			names = append(names, s, s+" prior", s+" bias")
		}
	}
	return names
}
