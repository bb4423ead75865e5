package learner

import (
	"math/rand/v2"
	"slices"
)

// schedule gives each step its share of the rates and its noise.
type schedule struct {
	Config
	steps int
}

func (c Config) schedule(steps int) schedule { return schedule{c, steps} }

// rate is in (0, 1]: a linear rise over the warm-up, then a linear fall that would reach 0 after
// the last step.
func (s schedule) rate(step int) float64 {
	warm := s.WarmUp * float64(s.steps)
	if float64(step) < warm {
		return float64(step+1) / (warm + 1)
	}
	if s.Constant {
		return 1
	}
	return (float64(s.steps) - float64(step)) / (float64(s.steps) - warm)
}

// noise falls linearly from Nu to NuEnd.
func (s schedule) noise(step int) float64 {
	if s.steps < 2 {
		return s.Nu
	}
	return s.Nu + (s.NuEnd-s.Nu)*float64(step)/float64(s.steps-1)
}

// order deals examples to steps, anew in each epoch.
type order struct {
	rng     *rand.Rand
	of      []int // shuffled in place
	batch   int
	buckets int // batches whose examples are sorted by length together
}

func newOrder(rng *rand.Rand, n int, c Config) *order {
	return &order{rng: rng, of: every(n), batch: c.Batch, buckets: c.LengthBuckets}
}

// epoch is the next epoch's batches; length says how many tokens an example has. Its slices hold
// until the next call.
func (o *order) epoch(length func(int) int) (batches [][]int) {
	o.rng.Shuffle(len(o.of), func(i, j int) { o.of[i], o.of[j] = o.of[j], o.of[i] })
	if o.buckets > 1 {
		for part := range slices.Chunk(o.of, o.buckets*o.batch) {
			slices.SortStableFunc(part, func(a, b int) int { return length(a) - length(b) })
		}
	}
	for part := range slices.Chunk(o.of, o.batch) {
		batches = append(batches, part)
	}
	if o.buckets > 1 { // or lengths would rise and fall with the steps
		o.rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	}
	return batches
}

// every is 0 to n-1.
func every(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
