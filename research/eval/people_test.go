package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/internal/population"
)

// opinions are people who answer by which of two camps they are in, over texts of random features.
// One in ten answers is none.
func opinions(people, texts int) *Answered {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &Answered{Labels: []string{"no", "yes"}, Taps: []int{0}, Hidden: 6, Scaled: true,
		Answers: slices.Repeat([]float64{0.9}, texts)}
	for range texts * d.Hidden {
		d.States = append(d.States, float32(rng.NormFloat64()))
	}
	for u := range people {
		p := Answerer{ID: fmt.Sprint("p", u)}
		for _, t := range rng.Perm(texts)[:texts*3/4] {
			class := 0
			if camp := float64(u%2*2 - 1); 3*camp*float64(d.States[t*d.Hidden])+float64(d.States[t*d.Hidden+1]) > 0 {
				class = 1
			}
			if rng.Float64() < 0.1 {
				class = -1
			}
			p.Text, p.Class = append(p.Text, t), append(p.Class, class)
		}
		d.People = append(d.People, p)
	}
	return d
}

func TestPeople(t *testing.T) {
	e := &People{Data: opinions(24, 40), Splits: 2, Shots: []int{3, 0}, Most: 60, Asked: true, More: true,
		Options: population.Options{Ranks: []int{1}, HeadStrengths: []float64{1}, AxisStrengths: []float64{0.3}}}
	rows, banks, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := e.Run(t.Context())
	for i := range again {
		rows[i].MS, again[i].MS = 0, 0
	}
	if err != nil || !reflect.DeepEqual(rows, again) {
		t.Errorf("once more: got other rows, %v", err)
	}
	if len(banks) != 4 || banks[0].Rank != 1 || banks[0].People != 12 ||
		len(rows) != 2*(len(peopleModes)-1+len(moreModes))-1 {
		t.Fatalf("got %d rows, banks %+v", len(rows), banks)
	}
	code := rows[slices.IndexFunc(rows, func(r PeopleRow) bool { return r.Mode == peopleCode && r.Shots == 0 })]
	if code.Bytes != 3 || code.MacroF1 < 0.85 || !(code.ECE > 0 && code.ECE < 0.2) {
		t.Errorf("got %+v", code)
	}
	for _, r := range rows {
		if (r.Mode == "rank 1" || r.Mode == "digits 8") && r.Shots == 0 &&
			(r.Accuracy != code.Accuracy || r.Loss != code.Loss) {
			t.Errorf("%s: got %+v, want what the code has, %+v", r.Mode, r, code)
		}
		if slices.Contains([]string{"digits 1", moreKHot, moreNearest, moreLikely}, r.Mode) && r.Shots == 0 &&
			r.Accuracy < 0.85 {
			t.Errorf("%s: got %+v", r.Mode, r)
		}
		if r.People != 24 || r.N == 0 || (r.Setting != "") != (r.Mode == peopleOwn) || r.Accuracy < 0 ||
			r.Accuracy > 1 {
			t.Errorf("got %+v", r)
		}
		if r.Mode == peopleCode && r.Shots == 0 && (r.Accuracy < 0.9 || r.Ahead.Low < 0.2) {
			t.Errorf("two camps: got an accuracy of %g, %g over the prior", r.Accuracy, r.Ahead.Mean)
		}
		if r.Mode == peopleOther && r.Shots == 0 && r.Behind.Mean < 0.05 {
			t.Errorf("another person's code: got only %g behind", r.Behind.Mean)
		}
	}
}

// TestCalibration: of two answers that are three quarters sure one is right, and one that is nine
// tenths sure is; a mode's ways count by their weights.
func TestCalibration(t *testing.T) {
	tally := newPeopleTally(1)
	tally.banks = make([]PeopleBank, 1)
	logits, class := [][]float64{{0, math.Log(3)}, {0, math.Log(3)}, {0, math.Log(9)}}, []int{1, 0, 1}
	tally.add(way{mode: "a", weight: 0.5, bytes: 2}, 3, 0, 0, class, logits)
	tally.add(way{mode: "a", weight: 0.5, bytes: 4}, 3, 0, 0, class, logits)
	n, ece := tally.calibration(peopleMode{"a", 3})
	s := tally.modes[peopleMode{"a", 3}][0][0]
	if n != 3 || math.Abs(ece-0.2) > 1e-9 || right(s) != 2./3 || s.bytes != 3 || math.Abs(s.f1-0.4) > 1e-9 {
		t.Errorf("got %d answers, a calibration error of %g and %+v", n, ece, s)
	}
}

// TestPlaces: the camps are on either side, no code saw a text that is kept back, and what is
// written is read.
func TestPlaces(t *testing.T) {
	e := &People{Data: opinions(24, 40), Most: 60,
		Options: population.Options{Setting: &population.Setting{Rank: 1, Head: 1, Axis: 0.3}}}
	names := make([]string, 40)
	for i := range names {
		names[i] = fmt.Sprint("text ", i)
	}
	p, err := e.Places(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	sides := map[bool]int{}
	for _, one := range p.People {
		var u int
		fmt.Sscanf(one.ID, "p%d", &u)
		sides[(u%2 == 1) == (one.Z[0] > 0)]++
	}
	if len(p.People) != 12 || len(p.Texts) != 12 || min(sides[true], sides[false]) != 0 {
		t.Errorf("got %d people on sides %v, %d texts", len(p.People), sides, len(p.Texts))
	}
	for _, text := range p.Texts { // whatever is said about them
		for i, name := range names {
			if text.Text == name {
				for u := range e.Data.People {
					for k, at := range e.Data.People[u].Text {
						if at == i && slices.Contains(e.halves(0)[1], u) {
							e.Data.People[u].Class[k] = 0
						}
					}
				}
			}
		}
	}
	if again, err := e.Places(t.Context(), names); err != nil || !reflect.DeepEqual(again.People, p.People) {
		t.Errorf("codes depend on texts that are kept back, %v", err)
	}
	path := filepath.Join(t.TempDir(), "places.json")
	data, _ := json.Marshal(p)
	write(t, path, string(data))
	if got, err := ReadPlaces(path); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("read: %v", err)
	}
	p.Texts[0].Who[0] = 99
	data, _ = json.Marshal(p)
	write(t, path, string(data))
	if _, err := ReadPlaces(path); !errors.Is(err, ErrData) {
		t.Errorf("an answer of nobody: got %v", err)
	}
}

// TestSingleAdapter: it starts as the head and the prior alone, and learns what it is shown.
func TestSingleAdapter(t *testing.T) {
	m, err := OpenMachine(golden.Model(t), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	data := &Data{Labels: []string{"fruit", "metal"}, People: make([]Person, 1)}
	for _, text := range []string{"an apple", "a ripe pear", "iron", "cast steel", "plums", "copper wire"} {
		data.People[0].Examples = append(data.People[0].Examples, Example{Text: text, Label: "fruit"})
	}
	e := &People{}
	if e.Data, err = m.Answered(t.Context(), data, 1, nil, []int{0, m.Encoder.Blocks()}); err != nil {
		t.Fatal(err)
	}
	if e.Stems, err = m.Stems(t.Context(), data, 1, nil); err != nil {
		t.Fatal(err)
	}
	used := slices.Repeat([]bool{true}, 6)
	b := &banks{phi: e.Data.features(used)}
	b.Model = &population.Model{C: 2, D: 2 * m.Encoder.Hidden(), A: []float32{0.2, -0.1}, Counts: []uint32{3, 5}}
	rng := rand.New(rand.NewPCG(2, 2))
	for range 2 * b.D {
		b.W = append(b.W, float32(rng.NormFloat64()))
	}
	b.none = b.Model
	if b.lastScale, err = e.Data.scaleOf(b.phi, e.Stems); err != nil {
		t.Fatal(err)
	}
	p := &serving{People: e, banks: b, trainTexts: []int{0, 1, 2, 3}, testTexts: []int{4, 5}}
	p.alone = &population.Examples{Rows: b.rows(b.none, p.trainTexts), Class: []int{0, 0, 0, 1}}
	p.aloneTest = &population.Examples{Rows: b.rows(b.none, p.testTexts)}
	s, prior := p.newSingle(3e-3), b.none.Prior([]uint32{3, 1})
	clear(s.adapter.Up)
	got, err := s.answers(t.Context(), p.testTexts)
	if err != nil {
		t.Fatal(err)
	}
	for k := range got {
		for c, v := range got[k] {
			if want := p.aloneTest.Rows[2*k+c] + prior[c]; math.Abs(v-want) > 1e-3 {
				t.Errorf("before the first step: got %g, want %g", v, want)
			}
		}
	}
	for range 60 {
		if err := s.epoch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = s.answers(t.Context(), p.trainTexts); err != nil {
		t.Fatal(err)
	}
	for k, class := range s.class {
		if loss, _ := logLoss(got[k], class); loss > 0.1 {
			t.Errorf("text %d: got a loss of %g after training", k, loss)
		}
	}
}

// TestPeopleSplit: everybody is new once a split, and no answer is in two parts; with new texts,
// nobody's training has a held text.
func TestPeopleSplit(t *testing.T) {
	for _, newTexts := range []bool{false, true} {
		e := &People{Data: opinions(11, 40), Splits: 1, Most: 25, NewTexts: newTexts}
		half := e.halves(0)
		all := slices.Sorted(slices.Values(slices.Concat(half[0], half[1])))
		if len(all) != 11 || all[10] != 10 || len(slices.Compact(all)) != 11 {
			t.Fatalf("got halves %v", half)
		}
		held := e.heldTexts(0)
		for who, p := range e.Data.People {
			n := e.newcomer(0, who, held)
			parts := slices.Sorted(slices.Values(slices.Concat(n.train, n.test)))
			if len(slices.Compact(parts)) != len(n.train)+len(n.test) || len(parts) > 25 {
				t.Fatalf("got %v and %v", n.train, n.test)
			}
			for _, i := range n.test {
				if p.Class[i] < 0 || newTexts && !held[p.Text[i]] {
					t.Errorf("%s is tested on %d", p.ID, i)
				}
			}
			for _, i := range n.train {
				if held[p.Text[i]] {
					t.Errorf("%s learns from a held text", p.ID)
				}
			}
		}
	}
}

// TestPeopleHeldTexts: with new texts, a bank does not depend on what anybody says about a held
// text.
func TestPeopleHeldTexts(t *testing.T) {
	e := &People{Data: opinions(12, 40), Splits: 1, Most: 60, NewTexts: true,
		Options: population.Options{Setting: &population.Setting{Rank: 1, Head: 1, Axis: 1}}}
	held, half := e.heldTexts(0), e.halves(0)
	before, err := e.train(t.Context(), 0, half[0], held)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range e.Data.People {
		for i, text := range p.Text {
			if held[text] {
				p.Class[i] = 1
			}
		}
	}
	for text, h := range held {
		if h {
			e.Data.States[text*6] = 100
		}
	}
	after, err := e.train(t.Context(), 0, half[0], held)
	if err != nil || !reflect.DeepEqual(before.Model, after.Model) || !slices.Equal(before.mean, after.mean) {
		t.Errorf("got another bank, %v", err)
	}
}

// TestPeopleFeatures: of each tap the population's own texts have mean 0 and the same mean square.
func TestPeopleFeatures(t *testing.T) {
	d := opinions(4, 40)
	d.Taps, d.Hidden, d.Scaled = []int{0, 3}, 3, false
	used := make([]bool, 40)
	for text := range 30 {
		used[text] = true
	}
	x := d.features(used)
	for tap := range 2 {
		sum, square := 0.0, 0.0
		for text := range 30 {
			for i := range 3 {
				v := float64(x[text*6+tap*3+i])
				sum, square = sum+v, square+v*v
			}
		}
		if math.Abs(sum) > 1e-4 || math.Abs(square/30-0.5) > 1e-4 {
			t.Errorf("tap %d: got a sum of %g and a mean square of %g, want 0 and ½", tap, sum, square/30)
		}
	}
}

// TestDeal: each text keeps its labels.
func TestDeal(t *testing.T) {
	people := []population.Answers{{Text: []int32{1, 2}, Class: []int32{0, 1}},
		{Text: []int32{2, 1}, Class: []int32{0, 1}}, {Text: []int32{1}, Class: []int32{1}}}
	deal(people, 3)
	if ones := people[0].Class[0] + people[1].Class[1] + people[2].Class[0]; ones != 2 ||
		people[0].Class[1]+people[1].Class[0] != 1 {
		t.Errorf("got %+v", people)
	}
}
