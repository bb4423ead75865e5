package eval

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
)

// Development people choose settings and are on the bank's side in every split: nobody whose score
// is reported has been tuned on.
const developmentShare = 3 // one in three

// mix is a number that depends on all of its parts.
func mix(what string, parts ...uint64) uint64 {
	h := fnv.New64a()
	h.Write([]byte(what))
	for _, p := range parts {
		h.Write(binary.LittleEndian.AppendUint64(nil, p))
	}
	return h.Sum64()
}

// development says who chooses settings: one in three of all, by a hash of their ids.
func development(people []Person) (dev, rest []int) {
	order := make([]int, len(people))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := mix("development "+people[a].ID), mix("development "+people[b].ID)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	n := len(people) / developmentShare
	return order[:n], order[n:]
}

// Split divides people into those who make the head and the bank, and those who are new: half of
// all, none of them a development one.
func Split(people []Person, split int) (bank, fresh []int) {
	dev, rest := development(people)
	rng := rand.New(rand.NewPCG(mix("split"), uint64(split)))
	rest = slices.Clone(rest)
	rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	n := min(len(people)/2, len(rest))
	return slices.Concat(dev, rest[n:]), rest[:n]
}

// folds is how the development people are divided to choose settings: each third is new once.
const folds = 3

// Fold is a split of the development people alone.
func Fold(people []Person, fold int) (bank, fresh []int) {
	dev, _ := development(people)
	for i, p := range dev {
		if i%folds == fold {
			fresh = append(fresh, p)
		} else {
			bank = append(bank, p)
		}
	}
	return bank, fresh
}

// Cut shuffles a person's texts with a seed, keeps at most so many, and holds three in ten of them
// out for the test. It gives their numbers.
func Cut(p Person, seed uint64, most int) (train, test []int) {
	rng := rand.New(rand.NewPCG(mix("cut "+p.ID, seed), 1))
	texts := make([]int, len(p.Examples))
	for i := range texts {
		texts[i] = i
	}
	rng.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	texts = texts[:min(len(texts), most)]
	n := max(1, int(math.Round(0.3*float64(len(texts)))))
	return texts[n:], texts[:n]
}
