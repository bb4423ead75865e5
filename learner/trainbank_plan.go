package learner

import "math/rand/v2"

// plan says which profiles and texts a step takes. It is a function of the seed and the step alone,
// so that a run can be resumed anywhere.
type plan struct {
	seed     uint64
	profiles int
	each     int // profiles a step
	texts    int // of each of them
}

// rounds is how often all profiles have had their turn before a step, and the place of the step's
// first one in the next round.
func (p plan) round(step int) (round, at int) {
	return step * p.each / p.profiles, step * p.each % p.profiles
}

// who takes the profiles in turn, in an order that is new in each round. One that ends a round and
// begins the next is taken once.
func (p plan) who(step int) (who []int) {
	round, at := p.round(step)
	order, seen := p.order(round), make(map[int]bool, p.each)
	for range p.each {
		if at == p.profiles {
			round, at = round+1, 0
			order = p.order(round)
		}
		if !seen[order[at]] {
			seen[order[at]] = true
			who = append(who, order[at])
		}
		at++
	}
	return who
}

func (p plan) order(round int) []int {
	return rand.New(rand.NewPCG(p.seed, uint64(round)+0xbf58476d1ce4e5b9)).Perm(p.profiles)
}

// which are the next texts of a profile that has n: all of them come once before one comes again.
func (p plan) which(step, profile, n int) (which []int) {
	round, _ := p.round(step)
	for i := range min(p.texts, n) {
		at := round*min(p.texts, n) + i
		order := rand.New(rand.NewPCG(p.seed^uint64(profile)<<32, uint64(at/n)+0x94d049bb133111eb)).Perm(n)
		which = append(which, order[at%n])
	}
	return which
}
