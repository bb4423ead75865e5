package digits

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFolds: what the documentation of folds says, for people of all sizes.
func TestFolds(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		n := 1 + int(seed%40)
		p := randomPerson(seed, n, 4, 4)
		for i := range p.Class {
			p.Class[i] = min(r.IntN(4), r.IntN(4))
			p.Rejected = append(p.Rejected, r.IntN(6) == 0)
		}
		d := newData(p)
		answers := make([]int, n)
		for _, f := range d.folds(5, seed) {
			checkFold(t, d, f)
			for _, i := range f.test {
				answers[i]++
			}
		}
		for i, got := range answers {
			want := repeats
			if n >= smallest || d.alone(i) {
				want = 1
			}
			if got != want {
				t.Errorf("%d examples: example %d got %d answers, want %d", n, i, got, want)
			}
		}
	}
}

func checkFold(t *testing.T, d *data, f fold) {
	t.Helper()
	both := append(slices.Clone(f.train), f.test...)
	slices.Sort(both)
	if d.n >= smallest && (len(both) != d.n || len(f.test) < d.n/5 || len(f.test) > (d.n+4)/5) {
		t.Errorf("%d examples: got %d in training and %d tested, want all, a fifth tested", d.n, len(f.train),
			len(f.test))
	}
	if len(slices.Compact(both)) != len(f.train)+len(f.test) {
		t.Errorf("got examples that are in training and tested, or twice: %v", f)
	}
	of := func(examples []int, i int) (n int) {
		for _, j := range examples {
			if d.class[j] == d.class[i] && d.rejected[j] == d.rejected[i] {
				n++
			}
		}
		return n
	}
	for _, i := range f.test {
		if trained, tested := of(f.train, i), of(f.test, i); !d.alone(i) && trained == 0 {
			t.Errorf("%d examples: got no other example of %d's label in training", d.n, i)
		} else if all := trained + tested; d.n >= smallest && (tested < all/5 || tested > (all+4)/5) {
			t.Errorf("%d examples: got %d of %d of a label tested, want a fifth", d.n, tested, all)
		}
	}
}

func TestFoldsFollowTheSeed(t *testing.T) {
	d := newData(randomPerson(1, 30, 4, 2))
	a, b, c := d.folds(5, 1), d.folds(5, 1), d.folds(5, 2)
	same := func(a, b []fold) bool {
		return slices.EqualFunc(a, b, func(a, b fold) bool { return slices.Equal(a.test, b.test) })
	}
	if !same(a, b) || same(a, c) {
		t.Error("got other folds of the same seed, or the same of another")
	}
}

// TestPriorOfEachFold is from the counts of its own training and of those before.
func TestPriorOfEachFold(t *testing.T) {
	p := randomPerson(1, 10, 4, 2)
	p.Rejected = make([]bool, 10)
	for i := range p.Class {
		p.Class[i], p.Rejected[i] = i%2, i == 3
	}
	p.Counted = []uint32{100, 1000}
	var got [][]uint32
	p.Prior = func(counts []uint32) []float32 {
		got = append(got, slices.Clone(counts))
		return nil
	}
	learn(t, p, &Options{Always: true})
	if len(got) != 11 {
		t.Fatalf("got %d priors, want one of each of five folds, twice, and that of all", len(got))
	}
	for _, division := range [][][]uint32{got[:5], got[5:10]} {
		sum := []uint32{0, 0}
		for _, counts := range division {
			sum[0] += counts[0] - 100
			sum[1] += counts[1] - 1000
		}
		if want := []uint32{4 * 5, 4 * 4}; !slices.Equal(sum, want) {
			t.Errorf("folds counted %v, want %v: each of 5 and 4 examples in four folds, the rejected one never", sum,
				want)
		}
	}
	if want := []uint32{105, 1004}; !slices.Equal(got[10], want) {
		t.Errorf("all examples: got counts %v, want %v", got[10], want)
	}
}
