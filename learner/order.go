package learner

import (
	"math/rand/v2"
	"slices"
)

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
