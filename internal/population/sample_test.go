package population

import (
	"context"
	"math"
	"testing"
)

// TestChoiceOnSome: a choice on a few of many people serves new ones as well as a choice on all, at
// one answer and at ten.
func TestChoiceOnSome(t *testing.T) {
	p := plant(2, 800, 20, 100, 6, 2, 2)
	var fresh []Answers
	for range 200 {
		fresh = append(fresh, p.person(20))
	}
	loss := map[int][]float64{}
	for _, people := range []int{80, 800} {
		m, r := train(t, &p.Population,
			&Options{Ranks: []int{1, 2}, HeadStrengths: []float64{1}, AxisStrengths: []float64{0.1, 1, 10},
				ChoicePeople: people})
		if loss[people] = newcomers(m, p, fresh); r.Rank != 2 || r.People != 800 {
			t.Errorf("chosen on %d: got %+v, want two axes of 800 people", people, r)
		}
		t.Logf("chosen on %d of 800: L2 %g, loss at 1, 3 and 10 answers %.4f", people, r.Axis, loss[people])
	}
	for k, some := range loss[80] {
		if some > loss[800][k]+0.01 {
			t.Errorf("chosen on 80: got %.4f, on all %.4f", loss[80], loss[800])
			break
		}
	}
}

// newcomers are the log-losses of people who did not train, fitted to 1, 3 and 10 of their answers
// and asked the rest.
func newcomers(m *Model, p *planted, people []Answers) (out []float64) {
	rows := m.Project(nil, p.Phi)
	width := len(rows) / (len(p.Phi) / p.D)
	for _, n := range []int{1, 3, 10} {
		sum := 0.0
		for _, a := range people {
			e := &Examples{}
			for i, text := range a.Text[:n] {
				e.Rows, e.Class = append(e.Rows, rows[int(text)*width:(int(text)+1)*width]...),
					append(e.Class, int(a.Class[i]))
			}
			z, b, err := m.Real(e)
			if err != nil {
				panic(err)
			}
			for i, text := range a.Text[10:] {
				row, logits := rows[int(text)*width:(int(text)+1)*width], make([]float64, m.C)
				for c := range logits {
					logits[c] = row[c] + b[c]
					for j, v := range z {
						logits[c] += v * row[(1+j)*m.C+c]
					}
				}
				own := logits[a.Class[10+i]]
				sum += (softmax(logits) - own) / float64(len(people)*len(a.Text[10:]))
			}
		}
		out = append(out, sum)
	}
	return out
}

// TestCrowdedStrength: twice as many people with the same answers have the same axes at twice the
// strength, if the head's is doubled as well.
func TestCrowdedStrength(t *testing.T) {
	p := plant(3, 40, 20, 30, 6, 2, 1)
	one, _ := train(t, &p.Population, &Options{Setting: &Setting{Rank: 1, Head: 1, Axis: 1}})
	p.People = append(p.People, p.People...)
	two, _, err := Train(context.Background(), &p.Population,
		&Options{Setting: &Setting{Rank: 1, Head: 2, Axis: crowdedStrength(1, 80, 40)}})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range one.V {
		if math.Abs(float64(v-two.V[i])) > 0.02*math.Abs(float64(one.V[0])) {
			t.Fatalf("got %v, want %v", two.V, one.V)
		}
	}
}
