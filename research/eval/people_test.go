package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/learner/population"
)

// opinions are people who answer by which of two camps they are in, over texts of random features. One in ten answers is none.
func opinions(people, texts int) *Answered {
	rng := rand.New(rand.NewPCG(1, 1))
	d := &Answered{Labels: []string{"no", "yes"}, Taps: []int{0}, Hidden: 6, Scaled: true, Answers: slices.Repeat([]float64{0.9}, texts)}
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
	e := &People{Data: opinions(24, 40), Splits: 2, Shots: []int{3, 0}, Most: 60, Asked: true, Options: population.Options{Ranks: []int{1}, HeadStrengths: []float64{1}, AxisStrengths: []float64{0.3}}}
	rows, banks, err := e.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := e.Run(t.Context())
	if err != nil || !reflect.DeepEqual(rows, again) {
		t.Errorf("once more: got other rows, %v", err)
	}
	if len(banks) != 4 || banks[0].Rank != 1 || banks[0].People != 12 || len(rows) != 2*len(peopleModes)-1 {
		t.Fatalf("got %d rows, banks %+v", len(rows), banks)
	}
	for _, r := range rows {
		if r.People != 24 || r.N == 0 || (r.Setting != "") != (r.Mode == peopleOwn) || r.Accuracy < 0 || r.Accuracy > 1 {
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

// TestPeopleSplit: everybody is new once a split, and no answer is in two parts; with new texts, nobody's training has a held text.
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

// TestPeopleHeldTexts: with new texts, a bank does not depend on what anybody says about a held text.
func TestPeopleHeldTexts(t *testing.T) {
	e := &People{Data: opinions(12, 40), Splits: 1, Most: 60, NewTexts: true, Options: population.Options{Setting: &population.Setting{Rank: 1, Head: 1, Axis: 1}}}
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
	people := []population.Answers{{Text: []int32{1, 2}, Class: []int32{0, 1}}, {Text: []int32{2, 1}, Class: []int32{0, 1}}, {Text: []int32{1}, Class: []int32{1}}}
	deal(people, 3)
	if ones := people[0].Class[0] + people[1].Class[1] + people[2].Class[0]; ones != 2 || people[0].Class[1]+people[1].Class[0] != 1 {
		t.Errorf("got %+v", people)
	}
}
