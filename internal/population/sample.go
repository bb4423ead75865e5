package population

import (
	"math/rand/v2"
)

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
