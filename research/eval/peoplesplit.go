package eval

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/xpeft/xpeft/internal/population"
)

// heldShare is the share of answers, or of texts, that are kept back for the test.
const heldShare = 0.3

// halves divides all people.
func (e *People) halves(split int) [2][]int {
	rng := rand.New(rand.NewPCG(mix("people"), uint64(split)))
	order := rng.Perm(len(e.Data.People))
	return [2][]int{order[:len(order)/2], order[len(order)/2:]}
}

// heldTexts are those that are nobody's training.
func (e *People) heldTexts(split int) []bool {
	held := make([]bool, len(e.Data.Answers))
	if !e.NewTexts {
		return held
	}
	rng := rand.New(rand.NewPCG(mix("texts"), uint64(split)))
	for _, t := range rng.Perm(len(held))[:int(math.Round(heldShare*float64(len(held))))] {
		held[t] = true
	}
	return held
}

// kept are the numbers of a person's answers in this split, shuffled, at most Most.
func (e *People) kept(split, who int) []int {
	p := e.Data.People[who]
	rng := rand.New(rand.NewPCG(mix("kept "+p.ID, uint64(split)), 1))
	order := rng.Perm(len(p.Text))
	return order[:min(e.Most, len(order))]
}

// newcomer divides a new person's answers. Texts without a label are no test.
func (e *People) newcomer(split, who int, held []bool) newcomer {
	n, kept := newcomer{who: who}, e.kept(split, who)
	least := max(1, int(math.Round(heldShare*float64(len(kept)))))
	for k, i := range kept {
		if e.NewTexts && held[e.Data.People[who].Text[i]] || !e.NewTexts && k < least {
			n.test = append(n.test, i)
		} else {
			n.train = append(n.train, i)
		}
	}
	n.test = e.Data.answered(who, n.test)
	if len(e.Data.answered(who, n.train)) == 0 {
		n.train = nil
	}
	return n
}

// deal gives each text's labels to the people who answered it in another order.
func deal(people []population.Answers, seed uint64) {
	type place struct{ u, i int }
	places := map[int32][]place{}
	for u, a := range people {
		for i, t := range a.Text {
			places[t] = append(places[t], place{u, i})
		}
	}
	rng := rand.New(rand.NewPCG(mix("deal"), seed))
	var texts []int32
	for t := range places {
		texts = append(texts, t)
	}
	slices.Sort(texts)
	for _, t := range texts {
		at := places[t]
		rng.Shuffle(len(at), func(x, y int) {
			a, b := at[x], at[y]
			people[a.u].Class[a.i], people[b.u].Class[b.i] = people[b.u].Class[b.i], people[a.u].Class[a.i]
		})
	}
}

// features are φ of all texts: the states after each tap centred and scaled to the same mean square
// by the texts of the population alone, unless they are φ already.
func (d *Answered) features(used []bool) []float32 {
	if d.Scaled {
		return d.States
	}
	dim := len(d.Taps) * d.Hidden
	mean, square, n := make([]float64, dim), make([]float64, len(d.Taps)), 0.0
	each := func(f func(i int, v float64)) {
		for t, u := range used {
			if u {
				for i, v := range d.States[t*dim : (t+1)*dim] {
					f(i, float64(v))
				}
			}
		}
	}
	for _, u := range used {
		if u {
			n++
		}
	}
	each(func(i int, v float64) { mean[i] += v / n })
	each(func(i int, v float64) { square[i/d.Hidden] += (v - mean[i]) * (v - mean[i]) / n })
	out := make([]float32, len(d.States))
	for i, v := range d.States {
		at := i % dim
		out[i] = float32((float64(v) - mean[at]) / math.Sqrt(square[at/d.Hidden]*float64(len(d.Taps))))
	}
	return out
}

// standard finds the centre and scale of φ that the fits have, for own heads.
func (b *banks) standard(phi []float32, d int) {
	b.centre = make([]float32, d)
	n := float32(len(phi) / d)
	for i, v := range phi {
		b.centre[i%d] += v / n
	}
	square := 0.0
	for i, v := range phi {
		square += float64(v-b.centre[i%d]) * float64(v-b.centre[i%d]) / float64(n)
	}
	b.scale = float32(1 / math.Sqrt(square))
}
