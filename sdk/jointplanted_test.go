package sdk

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// planted are people who answer the same texts, and differ along some directions of what the model
// sees in these.
type planted struct {
	rng   *rand.Rand
	texts []string
	x     [][]float64 // of each text: φ, centred and scaled to a mean square of 1
	w     []float64   // for the second of two labels
	v     [][]float64
	own   []float64 // what each text has of its own; zeros unless a test says otherwise
}

var sides = []string{"agree", "disagree"}

// differing is a folder of digits with two labels and nobody in it.
func differing(t testing.TB, model string) *Folder {
	c := small(t)
	c.Masks, c.Labels, c.Options.ObserveEvery = false, sides, 1<<20
	if model != "" {
		c.Model = model
	}
	return create(t, c)
}

func plantedIn(t testing.TB, p *Folder, texts, rank int, seed uint64) *planted {
	t.Helper()
	q := &planted{rng: rand.New(rand.NewPCG(seed, 25))}
	var encoded []model.Encoding
	for i := range texts {
		words := ""
		for range 4 {
			words += " " + plantedWords[q.rng.IntN(len(plantedWords))]
		}
		q.texts = append(q.texts, fmt.Sprintf("%d%s", i, words))
		var e model.Encoding
		p.tokenizer.Encode(&e, q.texts[i], "", p.maxTokens)
		encoded = append(encoded, e)
	}
	phi, err := p.features(context.Background(), encoded)
	if err != nil {
		t.Fatal(err)
	}
	q.center(phi, p.axes.Dim())
	q.own = make([]float64, texts)
	q.w = q.direction(1)
	for range rank {
		q.v = append(q.v, q.direction(3))
	}
	return q
}

var plantedWords = []string{"server", "down", "database", "disk", "please", "review", "draft", "invoice", "free",
	"phone", "win", "discount", "later", "urgent", "ignore", "q", "z", "x", "k", "v"}

func (q *planted) center(phi []float32, d int) {
	mean, square, n := make([]float64, d), 0.0, float64(len(phi)/d)
	for i, v := range phi {
		mean[i%d] += float64(v) / n
	}
	for i, v := range phi {
		square += (float64(v) - mean[i%d]) * (float64(v) - mean[i%d]) / n
	}
	for at := 0; at < len(phi); at += d {
		x := make([]float64, d)
		for i := range x {
			x[i] = (float64(phi[at+i]) - mean[i]) / math.Sqrt(square)
		}
		q.x = append(q.x, x)
	}
}

// direction moves logits by about so much: a mix of the texts.
func (q *planted) direction(size float64) []float64 {
	w := make([]float64, len(q.x[0]))
	for _, x := range q.x {
		a := q.rng.NormFloat64()
		for i := range w {
			w[i] += a * x[i]
		}
	}
	square := 0.0
	for _, x := range q.x {
		square += dotOf(w, x) * dotOf(w, x) / float64(len(q.x))
	}
	for i := range w {
		w[i] *= size / math.Sqrt(square)
	}
	return w
}

func dotOf(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// person answers some texts.
func (q *planted) person(answers int) (out []Example) {
	b, z := 0.5*q.rng.NormFloat64(), make([]float64, len(q.v))
	for j := range z {
		z[j] = q.rng.NormFloat64()
	}
	for _, i := range q.rng.Perm(len(q.texts))[:answers] {
		logit := b + dotOf(q.w, q.x[i]) + q.own[i]
		for j, v := range q.v {
			logit += z[j] * dotOf(v, q.x[i])
		}
		e := Example{Text: q.texts[i], Label: sides[0]}
		if q.rng.Float64() < 1/(1+math.Exp(-logit)) {
			e.Label = sides[1]
		}
		out = append(out, e)
	}
	return out
}

// observed stores the examples of as many people.
func (q *planted) observed(t testing.TB, p *Folder, people, answers int) {
	t.Helper()
	for u := range people {
		id, es := fmt.Sprint("old ", u), q.person(answers)
		if err := p.Observe(context.Background(), id, es[0]); err != nil {
			t.Fatal(err)
		}
		if err := p.store.Beside(context.Background(), id, store.Write{Append: records(es[1:])}); err != nil {
			t.Fatal(err)
		}
	}
}

func mustTrainBank(t testing.TB, p *Folder) *BankReport {
	t.Helper()
	rep, err := p.TrainBank(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %+v", rep.Reason, *rep.Population)
	return rep
}

// joined is a folder of people who differ on one axis, whose bank was made without a choice, and
// some of these people's texts.
func joined(t testing.TB) (*Folder, *planted) {
	t.Helper()
	p := differing(t, "")
	q := plantedIn(t, p, 60, 1, 1)
	q.observed(t, p, 50, 40)
	join(t, p)
	return p, q
}

func join(t testing.TB, p *Folder) { joinWith(t, p, func(*population.Model, []uint64) {}) }

// joinWith is join with a change of what was found before it is stored; keys are those of the
// population's texts.
func joinWith(t testing.TB, p *Folder, change func(m *population.Model, keys []uint64)) {
	t.Helper()
	ctx := context.Background()
	h, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	people, keys, err := p.population(ctx, h, teachers{most: mostTaught})
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := population.Train(ctx, people,
		&population.Options{Setting: &population.Setting{Rank: 1, Head: 10, Axis: 3}})
	if err == nil {
		change(m, keys)
		_, err = p.putJoint(ctx, h, &learnedAxes{m, people, keys}, len(people.People))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rightShare is that of examples that a profile answers as they say.
func rightShare(t testing.TB, p *Folder, id string, es []Example) float64 {
	t.Helper()
	var reqs []Request
	for _, e := range es {
		reqs = append(reqs, Request{Profile: id, Text: e.Text, Fallback: FallbackBase, NoTaught: true})
	}
	n := 0.0
	for i, a := range mustBatch(t, p, reqs) {
		if a.Label == es[i].Label {
			n++
		}
	}
	return n / float64(len(es))
}
