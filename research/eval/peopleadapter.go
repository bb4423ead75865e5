package eval

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/model"
)

// Stems are what the frozen encoder makes of the texts of an Answered below the last block's
// adapter, for those who train one.
type Stems struct {
	Engine engine.Engine
	From   int // the block
	Hidden int // d
	Texts  []model.Encoding
	States [][]float32 // of each text, [tokens,d]
	Pooled []float32   // [texts,d]: the embeddings without an adapter
}

// Stems computes them once for all people.
func (m *Machine) Stems(ctx context.Context, d *Data, least int, drop []string) (*Stems, error) {
	_, texts := answers(d, least, drop)
	s := &Stems{Engine: m.Engine, From: m.Encoder.Blocks() - 1, Hidden: m.Encoder.Hidden(),
		Texts: make([]model.Encoding, len(texts))}
	for i, t := range texts {
		m.Tokenizer.Encode(&s.Texts[i], t.Text, t.Pair, m.MaxTokens)
	}
	var err error
	if s.States, err = m.Engine.Stems(ctx, s.Texts, s.From, nil, nil); err != nil {
		return nil, err
	}
	s.Pooled = make([]float32, len(texts)*s.Hidden)
	return s, s.embed(ctx, s.pick(nil, len(texts)), nil, s.Pooled)
}

// pick are some texts as an engine takes them; of nil, the first n.
func (s *Stems) pick(which []int, n int) engine.Rows {
	if which == nil {
		return engine.Rows{Texts: s.Texts[:n], From: s.From, Stems: s.States[:n]}
	}
	r := engine.Rows{From: s.From}
	for _, t := range which {
		r.Texts, r.Stems = append(r.Texts, s.Texts[t]), append(r.Stems, s.States[t])
	}
	return r
}

func (s *Stems) embed(ctx context.Context, r engine.Rows, a *model.Adapter, x []float32) error {
	var adapters []*model.Adapter
	if a != nil {
		adapters = []*model.Adapter{a}
	}
	return s.Engine.Embed(ctx, r, adapters, x, nil, nil)
}

// Of single adapters: the rates and numbers of epochs that are tried, and how they are trained. The
// bottleneck is that of the paper.
var (
	singleRates  = []float64{3e-4, 1e-3, 3e-3}
	singleEpochs = []int{5, 20}
)

const singleBatch = 8

// singleAdapter serves single adapters of every setting.
func (p *serving) singleAdapter(ctx context.Context) error {
	for _, rate := range singleRates {
		began := time.Now()
		s := p.newSingle(float32(rate))
		done := 0
		for _, epochs := range singleEpochs {
			for ; done < epochs; done++ {
				if err := s.epoch(ctx); err != nil {
					return err
				}
			}
			w := way{fmt.Sprintf("%s, rate %g, %d epochs", peopleAdapter, rate, epochs), 1, 4 * len(s.opt.m),
				time.Since(began)}
			logits, err := s.answers(ctx, p.testTexts)
			if err != nil {
				return err
			}
			p.tally.add(w, p.shots, p.who, p.bank, p.aloneTest.Class, logits)
		}
	}
	return nil
}

// single is a Pfeiffer adapter in the last block and a head over its embeddings. The head starts as
// the last block's part of the shared one. The other blocks' part, and the person's label prior,
// are fixed, so that what is answered before the first step is what prior alone answers.
type single struct {
	*Stems
	C       int
	values  []float32 // of the adapter and the head, which are parts of it
	adapter *model.Adapter
	W, B    []float32         // [C,d], [C]
	fixed   map[int][]float64 // of each text, [C]
	texts   []int
	class   []int
	opt     *adam[float32]
	rng     *rand.Rand
}

func (p *serving) newSingle(rate float32) *single {
	d, b, C := p.Stems.Hidden, singleBottleneck, p.C
	n := 2*d*b + b + d + C*d + C
	s := &single{Stems: p.Stems, C: C, values: make([]float32, n), texts: p.trainTexts, class: p.alone.Class,
		opt: newAdam(n, rate),
		rng: rand.New(rand.NewPCG(mix("single"), uint64(p.who))), fixed: map[int][]float64{}}
	s.adapter = &model.Adapter{Blocks: 1, Bottleneck: b, Activation: model.ReLU}
	s.adapter.Down, s.adapter.DownBias, s.adapter.Up, s.adapter.UpBias, s.W, s.B = s.parts(s.values)
	for _, part := range [][]float32{s.adapter.Down, s.adapter.Up} {
		for i := range part {
			part[i] = float32(0.02 * s.rng.NormFloat64())
		}
	}
	for c := range C {
		row := p.none.W[c*p.D : (c+1)*p.D]
		for i, v := range row[p.D-d:] {
			s.W[c*d+i] = v * p.lastScale
		}
	}
	counts := make([]uint32, C)
	for _, c := range s.class {
		counts[c]++
	}
	prior := p.none.Prior(counts)
	for _, of := range []struct {
		texts []int
		rows  []float64
	}{{p.trainTexts, p.alone.Rows}, {p.testTexts, p.aloneTest.Rows}} {
		for k, t := range of.texts {
			x := s.Pooled[t*d : (t+1)*d]
			for c := range C {
				s.fixed[t] = append(s.fixed[t][:c], of.rows[k*C+c]+prior[c]-product(s.W[c*d:(c+1)*d], x))
			}
		}
	}
	return s
}

// parts divides the values, or their gradient.
func (s *single) parts(x []float32) (down, downBias, up, upBias, w, b []float32) {
	d, k := s.Hidden, singleBottleneck
	for i, n := range []int{d * k, k, k * d, d, s.C * d, s.C} {
		*[]*[]float32{&down, &downBias, &up, &upBias, &w, &b}[i] = x[:n:n]
		x = x[n:]
	}
	return down, downBias, up, upBias, w, b
}

func product(a, b []float32) (sum float64) {
	for i, v := range a {
		sum += float64(v) * float64(b[i])
	}
	return sum
}

// logits of a text whose embedding is x.
func (s *single) logits(text int, x []float32) []float64 {
	z := make([]float64, s.C)
	for c := range z {
		z[c] = s.fixed[text][c] + float64(s.B[c]) + product(s.W[c*s.Hidden:(c+1)*s.Hidden], x)
	}
	return z
}

// epoch takes a step for each batch of all examples.
func (s *single) epoch(ctx context.Context) error {
	order := s.rng.Perm(len(s.texts))
	for len(order) > 0 {
		n := min(singleBatch, len(order))
		if err := s.step(ctx, order[:n]); err != nil {
			return err
		}
		order = order[n:]
	}
	return nil
}

func (s *single) step(ctx context.Context, batch []int) error {
	var which []int
	for _, i := range batch {
		which = append(which, s.texts[i])
	}
	d, n := s.Hidden, len(batch)
	xs, slopes := make([]float32, n*d), make([]float64, n*s.C)
	adapters := []*model.Adapter{s.adapter}
	grads, err := s.Engine.Gradient(ctx, s.pick(which, n), adapters, nil, func(i int, x, dx []float32) {
		copy(xs[i*d:], x)
		z := s.logits(which[i], x)
		numeric.Softmax(z)
		z[s.class[batch[i]]]--
		clear(dx)
		for c, v := range z {
			v /= float64(n)
			slopes[i*s.C+c] = v
			for k, w := range s.W[c*d : (c+1)*d] {
				dx[k] += float32(v) * w
			}
		}
	})
	if err != nil {
		return err
	}
	gradient := make([]float32, len(s.values))
	down, downBias, up, upBias, w, b := s.parts(gradient)
	g := grads[0]
	copy(down, g.Down)
	copy(downBias, g.DownBias)
	copy(up, g.Up)
	copy(upBias, g.UpBias)
	for i := range n {
		for c := range s.C {
			v := float32(slopes[i*s.C+c])
			b[c] += v
			for k, x := range xs[i*d : (i+1)*d] {
				w[c*d+k] += v * x
			}
		}
	}
	s.opt.step(s.values, gradient)
	return nil
}

// answers are the logits of some texts.
func (s *single) answers(ctx context.Context, texts []int) (out [][]float64, err error) {
	x := make([]float32, len(texts)*s.Hidden)
	err = s.embed(ctx, s.pick(texts, len(texts)), s.adapter, x)
	for k, t := range texts {
		out = append(out, s.logits(t, x[k*s.Hidden:(k+1)*s.Hidden]))
	}
	return out, err
}

// scaleOf is the number by which φ's part of the last block scales its states.
func (d *Answered) scaleOf(phi []float32, s *Stems) (float32, error) {
	texts, D := len(d.Answers), len(phi)/len(d.Answers)
	if d.Taps[len(d.Taps)-1] != s.From+1 || len(s.Texts) != texts {
		return 0, fmt.Errorf("%w: single adapters want features of the last block, and stems of the same texts",
			ErrData)
	}
	a, b := 0.0, 0.0
	for t := 1; t < texts; t++ {
		for i := range s.Hidden {
			x, y := s.Pooled[t*s.Hidden+i]-s.Pooled[i], phi[t*D+D-s.Hidden+i]-phi[D-s.Hidden+i]
			a, b = a+float64(x)*float64(x), b+float64(y)*float64(y)
		}
	}
	return float32(math.Sqrt(b / a)), nil
}
