package learner

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOrder: every epoch deals every example once, and batches of like lengths have less padding.
func TestOrder(t *testing.T) {
	const n = 203
	rng := rand.New(rand.NewPCG(1, 2))
	length := make([]int, n)
	for i := range length {
		length[i] = 1 + rng.IntN(60)
	}
	var padding [2]int
	for which, buckets := range []int{0, 8} {
		c := Default()
		c.LengthBuckets = buckets
		o := newOrder(rng, n, c)
		var first []int
		for range 2 {
			var all []int
			for _, b := range o.epoch(func(i int) int { return length[i] }) {
				longest := 0
				for _, i := range b {
					longest = max(longest, length[i])
				}
				for _, i := range b {
					padding[which] += longest - length[i]
				}
				all = append(all, b...)
			}
			if slices.Equal(first, all) {
				t.Errorf("%d buckets: two epochs in the same order", buckets)
			}
			first = slices.Clone(all)
			slices.Sort(all)
			if len(all) != n || len(slices.Compact(all)) != n {
				t.Errorf("%d buckets: an epoch of %d examples, want each of %d once", buckets, len(all), n)
			}
		}
	}
	if padding[1] > padding[0]/3 {
		t.Errorf("padding: got %d tokens alike, %d else", padding[1], padding[0])
	}
}
