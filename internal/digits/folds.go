package digits

import (
	"cmp"
	"slices"
)

// From smallest examples on there are so many parts of them. Below, the folds are halves, repeats
// times over: a fifth of so few says nothing.
const (
	parts    = 5
	smallest = 10
	repeats  = 3
)

// fold is one training of a cross-validation: what it is trained on and what it answers.
type fold struct{ train, test []int }

// folds deals the examples, label by label, in an order that comes from seed and from what the
// examples are. From ten examples on each is answered by one fold of k. Below, each is answered by
// three halves, and a label's only example is in both halves' training: its own answer comes from
// one more training on all the others.
func (d *data) folds(k int, seed uint64) []fold {
	all := make([]int, d.n)
	for i := range all {
		all[i] = i
	}
	if d.n >= smallest {
		return d.deal(all, nil, k, seed)
	}
	var several, alone []int
	for i := range all {
		if d.alone(i) {
			alone = append(alone, i)
		} else {
			several = append(several, i)
		}
	}
	var out []fold
	for r := range repeats {
		if len(several) > 0 {
			out = append(out, d.deal(several, alone, 2, mix(seed+uint64(r)))...)
		}
	}
	for _, i := range alone {
		out = append(out, fold{train: slices.Concat(all[:i], all[i+1:]), test: []int{i}})
	}
	return out
}

// Fold is one training of a cross-validation: the numbers of the examples that it is trained on,
// and of those that it answers.
type Fold struct{ Train, Test []int }

// Folds are those that Learn judges by, for whatever else is judged beside it: what an example gets
// from several of them is averaged in probability.
func Folds(p *Person, o *Options) ([]Fold, error) {
	opt := o.orDefaults()
	if err := check(p, opt); err != nil {
		return nil, err
	}
	d := newData(p)
	given := func(which []int) []int {
		out := make([]int, len(which))
		for k, i := range which {
			out[k] = d.order[i]
		}
		slices.Sort(out)
		return out
	}
	var out []Fold
	for _, f := range d.folds(parts, opt.Seed) {
		out = append(out, Fold{given(f.train), given(f.test)})
	}
	return out, nil
}

// alone says whether no other example has i's label, given or rejected as i's is.
func (d *data) alone(i int) bool {
	for j := range d.n {
		if j != i && d.class[j] == d.class[i] && d.rejected[j] == d.rejected[i] {
			return false
		}
	}
	return true
}

// deal deals examples into k parts, each the test of one fold; always is in every training. Labels
// follow each other as from one pack, so that the parts have the same number of each label and of
// all, within one.
func (d *data) deal(examples, always []int, k int, seed uint64) []fold {
	order := slices.Clone(examples)
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(d.class[a], d.class[b]), compareBool(d.rejected[a], d.rejected[b]),
			cmp.Compare(mix(d.key[a]^seed), mix(d.key[b]^seed)))
	})
	out := make([]fold, min(k, len(order)))
	for at, i := range order {
		for part := range out {
			if part == at%len(out) {
				out[part].test = append(out[part].test, i)
			} else {
				out[part].train = append(out[part].train, i)
			}
		}
	}
	for part := range out {
		out[part].train = append(out[part].train, always...)
		slices.Sort(out[part].train)
		slices.Sort(out[part].test)
	}
	return out
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// counts are the labels of the examples, rejections left out, and those counted before.
func (d *data) counts(examples []int, before []uint32) []uint32 {
	out := make([]uint32, d.classes)
	copy(out, before)
	for _, i := range examples {
		if !d.rejected[i] {
			out[d.class[i]]++
		}
	}
	return out
}
