package population

import "math/rand/v2"

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

// addNarrow is numeric.Add of what is kept in float32.
func addNarrow(to []float64, by float64, x []float32) {
	for i, v := range x {
		to[i] += by * float64(v)
	}
}

func dotNarrow(x []float32, y []float64) (sum float64) {
	for i, v := range x {
		sum += float64(v) * y[i]
	}
	return sum
}
