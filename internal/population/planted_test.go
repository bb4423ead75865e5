package population

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"
)

// planted is a population whose people differ along rank axes that are theirs alone.
type planted struct {
	Population
	rng  *rand.Rand
	w, v []float64 // [C,D]; [rank,C,D]
	rank int
}

func plant(seed uint64, people, answers, texts, d, labels, rank int) *planted {
	p := &planted{Population: Population{C: labels, D: d}, rng: rand.New(rand.NewPCG(seed, 1)), rank: rank}
	for range texts * d {
		p.Phi = append(p.Phi, float32(p.rng.NormFloat64()/math.Sqrt(float64(d))))
	}
	for range labels * d {
		p.w = append(p.w, 1.5*p.rng.NormFloat64())
	}
	for range rank * labels * d {
		p.v = append(p.v, 3*p.rng.NormFloat64())
	}
	for range people {
		p.People = append(p.People, p.person(answers))
	}
	return p
}

// person draws a new one's answers.
func (p *planted) person(answers int) (a Answers) {
	z, b := make([]float64, p.rank), make([]float64, p.C)
	for j := range z {
		z[j] = p.rng.NormFloat64()
	}
	for c := range b {
		b[c] = 0.5 * p.rng.NormFloat64()
	}
	for _, t := range p.rng.Perm(len(p.Phi) / p.D)[:answers] {
		logits := slices.Clone(b)
		for c := range logits {
			for i, v := range p.Phi[t*p.D : (t+1)*p.D] {
				w := p.w[c*p.D+i]
				for j := range z {
					w += z[j] * p.v[(j*p.C+c)*p.D+i]
				}
				logits[c] += w * float64(v)
			}
		}
		softmax(logits)
		at, class := p.rng.Float64(), 0
		for ; class < p.C-1 && at > logits[class]; class++ {
			at -= logits[class]
		}
		a.Text, a.Class = append(a.Text, int32(t)), append(a.Class, int32(class))
	}
	return a
}

func train(t testing.TB, p *Population, o *Options) (*Model, *Report) {
	t.Helper()
	m, r, err := Train(context.Background(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

// TestPlanted: as many axes are found as there are, and none where people differ in nothing that is
// shared. Long form: twenty of each; the weakest of three axes hardly shows among 60 people.
func TestPlanted(t *testing.T) {
	draws, least := 1, map[int]int{0: 1, 1: 1, 3: 1}
	if os.Getenv("XPEFT_LONG") != "" {
		draws, least = 20, map[int]int{0: 18, 1: 18, 3: 18}
	}
	for _, rank := range []int{0, 1, 3} {
		found := 0
		for seed := range draws {
			p := plant(uint64(seed), 60, 50, 80, 6, 2, rank)
			if _, r := train(t, &p.Population, nil); r.Rank == rank {
				found++
			} else {
				t.Logf("rank %d, draw %d: got %d, gain %g ± %g", rank, seed, r.Rank, r.Gain, r.SE)
			}
		}
		t.Logf("rank %d: right in %d of %d", rank, found, draws)
		if found < least[rank] {
			t.Errorf("rank %d: right in %d of %d, want %d", rank, found, draws, least[rank])
		}
	}
}

// TestPermutedLabels: labels that are dealt anew among those who answered a text leave nothing to
// find.
func TestPermutedLabels(t *testing.T) {
	found := 0
	for seed := range uint64(4) {
		p := plant(seed, 60, 40, 80, 8, 2, 2)
		by := map[int32][]*int32{}
		for _, a := range p.People {
			for i, text := range a.Text {
				by[text] = append(by[text], &a.Class[i])
			}
		}
		for text := range int32(80) {
			at := by[text]
			p.rng.Shuffle(len(at), func(i, j int) { *at[i], *at[j] = *at[j], *at[i] })
		}
		if _, r := train(t, &p.Population, nil); r.Rank > 0 {
			found++
		}
	}
	if found > 1 {
		t.Errorf("got axes in %d of 4, want none", found)
	}
}

// TestNewPeople: the code of somebody who is new predicts them better than a bias does, is near the
// real z, and other labels' codes are worse.
func TestNewPeople(t *testing.T) {
	p := plant(3, 80, 60, 120, 8, 3, 2)
	m, r := train(t, &p.Population, nil)
	if m.J == 0 || m.J != r.Rank || len(m.Digits) != m.J || len(m.Range) != m.J || m.Digits[0] != most {
		t.Fatalf("got a model of rank %d, digits %v, report %d", m.J, m.Digits, r.Rank)
	}
	var coded, real, biased, other float64
	var before *Code
	for range 40 {
		a := p.person(60)
		rows := make([]float64, 0)
		for _, text := range a.Text {
			rows = m.Project(rows, p.Phi[int(text)*p.D:(int(text)+1)*p.D])
		}
		e, w := &Examples{Rows: rows[:40*m.Width()]}, m.Width()
		for _, c := range a.Class[:40] {
			e.Class = append(e.Class, int(c))
		}
		c, err := m.Fit(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		z, b, err := m.Real(e)
		if err != nil {
			t.Fatal(err)
		}
		none, err := (&Model{C: m.C}).Fit(context.Background(), &Examples{Rows: heads(m, e.Rows), Class: e.Class})
		if err != nil {
			t.Fatal(err)
		}
		if before != nil {
			f := m.newRounding(e, make([]float64, m.C))
			f.value(before.Level)
			mixed := &Code{Level: before.Level}
			for _, v := range f.bias {
				mixed.Bias = append(mixed.Bias, biasByte(v))
			}
			other += m.lossOf(rows[40*w:], a.Class[40:], mixed)
			coded += m.lossOf(rows[40*w:], a.Class[40:], c)
			biased += m.lossOf(rows[40*w:], a.Class[40:], none)
			for _, v := range (&solver{axes: m.J, labels: m.C, logits: make([]float64, m.C)}).losses(rows[40*w:],
				Answers{numbers(20), a.Class[40:]}, slices.Concat(z, b)) {
				real += v / 20
			}
		}
		before = c
	}
	t.Logf("losses: code %.3f, real %.3f, bias %.3f, another's code %.3f", coded/39, real/39, biased/39, other/39)
	if coded/39 > biased/39-0.05 || math.Abs(coded-real)/39 > 0.005 || other < coded+0.1 {
		t.Errorf("got losses of %g for codes, %g for real z, %g for biases, %g for another's code", coded/39, real/39,
			biased/39, other/39)
	}
}

func numbers(n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}

// heads are the rows without axes.
func heads(m *Model, rows []float64) (out []float64) {
	for ; len(rows) > 0; rows = rows[m.Width():] {
		out = append(out, rows[:m.C]...)
	}
	return out
}

func (m *Model) lossOf(rows []float64, class []int32, c *Code) (sum float64) {
	for i, y := range class {
		logits := m.Logits(nil, rows[i*m.Width():(i+1)*m.Width()], c)
		z := logits[y]
		sum += (softmax(logits) - z) / float64(len(class))
	}
	return sum
}

// TestThreads: the same bits for any number of threads.
func TestThreads(t *testing.T) {
	p := plant(5, 30, 20, 50, 6, 3, 1)
	var first *Model
	for _, threads := range []int{1, 2, 5} {
		m, r := train(t, &p.Population, &Options{Threads: threads, Steps: 20})
		if first == nil {
			first = m
		} else if !reflect.DeepEqual(m, first) {
			t.Errorf("%d threads: got another model of rank %d", threads, r.Rank)
		}
	}
}

// TestSetting: a given setting is taken as it is.
func TestSetting(t *testing.T) {
	p := plant(6, 20, 20, 40, 6, 2, 1)
	m, r := train(t, &p.Population, &Options{Setting: &Setting{Rank: 3, Head: 1, Axis: 1}})
	if m.J != 3 || r.Rank != 3 || r.Trials != nil {
		t.Errorf("got rank %d and %d trials, want 3 and none", m.J, len(r.Trials))
	}
	if m, _ = train(t, &p.Population, &Options{Setting: &Setting{Head: 1}}); m.J != 0 {
		t.Errorf("got rank %d, want 0", m.J)
	}
}

func TestRefused(t *testing.T) {
	for name, change := range map[string]func(*Population, *Options){
		"one label":      func(p *Population, _ *Options) { p.C = 1 },
		"part of a text": func(p *Population, _ *Options) { p.Phi = p.Phi[1:] },
		"NaN":            func(p *Population, _ *Options) { p.Phi[3] = float32(math.NaN()) },
		"a text too far": func(p *Population, _ *Options) { p.People[1].Text[0] = 10 },
		"a label more":   func(p *Population, _ *Options) { p.People[1].Class[0] = 2 },
		"no label":       func(p *Population, _ *Options) { p.People[1].Class[0] = -1 },
		"a label less":   func(p *Population, _ *Options) { p.People[1].Class = p.People[1].Class[1:] },
		"nobody":         func(p *Population, _ *Options) { p.People = nil },
		"one fold":       func(_ *Population, o *Options) { o.Folds = 1 },
		"nine axes":      func(_ *Population, o *Options) { o.Ranks = []int{9} },
		"a bad strength": func(_ *Population, o *Options) { o.AxisStrengths = []float64{0} },
		"bad answers":    func(_ *Population, o *Options) { o.Shots = []int{-1} },
		"a bad setting":  func(_ *Population, o *Options) { o.Setting = &Setting{Rank: 1, Head: 1} },
	} {
		p, o := plant(7, 5, 5, 10, 3, 2, 0), &Options{}
		change(&p.Population, o)
		if m, _, err := Train(context.Background(), &p.Population, o); !errors.Is(err, ErrConfig) || m != nil {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Train(ctx, &plant(7, 5, 5, 10, 3, 2, 0).Population, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	m := &Model{C: 2, J: 0}
	for name, e := range map[string]*Examples{
		"a label more":   {Rows: []float64{1, 2}, Class: []int{2}},
		"too few values": {Rows: []float64{1}, Class: []int{0}},
		"infinite":       {Rows: []float64{1, math.Inf(1)}, Class: []int{0}},
		"a weight of 0":  {Rows: []float64{1, 2}, Class: []int{0}, Weight: []float64{0}},
		"a weight less":  {Rows: []float64{1, 2}, Class: []int{0}, Weight: []float64{}},
	} {
		if _, err := m.Fit(context.Background(), e); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: got %v, want ErrConfig", name, err)
		}
	}
}

// TestFew: people too few, or with one answer, are no reason to fail.
func TestFew(t *testing.T) {
	for _, people := range []int{1, 2, 5} {
		p := plant(8, people, 1, 4, 3, 2, 1)
		if m, r := train(t, &p.Population, nil); m.J != 0 || r.People != people {
			t.Errorf("%d people: got rank %d", people, m.J)
		}
	}
}
