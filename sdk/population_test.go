//go:build cgo

package sdk

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

func mustPopulation(t testing.TB, p *SDK) *population {
	t.Helper()
	pop, err := p.population(context.Background(), true)
	if err != nil {
		t.Fatal(err)
	}
	return pop
}

// TestPopulation: the log-odds are of the profiles that have learned, whether they share a head or not.
func TestPopulation(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustObserve(t, p, "observed", examples(1, 0)...)
	if u := mustPopulation(t, p).use[1]; u != nil {
		t.Errorf("got the use of %d profiles, want none: nobody has learned", u.profiles)
	}
	for i := range 2 {
		mustLearn(t, p, fmt.Sprint(i), examples(12, i), forced())
	}
	mustLearn(t, p, "own", examples(12, 2), own(2))
	u := mustPopulation(t, p).use[1]
	if u == nil || u.profiles != 3 {
		t.Fatalf("got %+v, want 3 profiles", u)
	}
	if err := p.Forget(ctx, "observed"); err != nil {
		t.Fatal(err)
	}
	counts := make([]int, u.n) // of Down, block 1
	for rec, err := range p.store.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range rec.Mask.Indices(0, 1, nil) {
			counts[i]++
		}
	}
	g := u.logits(p.k)
	for i, x := range g.Row(0, 1) {
		if math.IsNaN(float64(x)) || (x > 0) != (counts[i] > 1) { // one in three use it by chance
			t.Errorf("adapter %d: got a logit of %g, used by %d of 3", i, x, counts[i])
		}
	}
	if m, err := g.Mask(p.k); err != nil || !m.Equal(u.mask) {
		t.Errorf("got another mask than the logits' (%v)", err)
	}
}

func TestNearestLabels(t *testing.T) {
	table := &labelTable{labels: 3}
	for i, counts := range [][]uint32{{9, 1, 0}, {0, 5, 0}, {2, 2, 2}, {0, 50, 0}, {1, 0}, {0, 0, 0}, {1, 1, 8}} {
		table.add(fmt.Sprint(i), counts)
	}
	for _, c := range []struct {
		counts []uint32
		most   int
		want   []string
	}{
		{[]uint32{1, 0, 0}, 2, []string{"0", "2"}},
		{[]uint32{0, 7, 0}, 1, []string{"1"}},
		{[]uint32{0, 7, 0}, 4, []string{"1", "3", "2", "6"}},
		{[]uint32{0, 0, 1}, 9, []string{"6", "2"}},
		{[]uint32{0, 0, 0}, 9, nil},
	} {
		if got := table.nearest(c.counts, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%v, %d: got %q, want %q", c.counts, c.most, got, c.want)
		}
	}
	table.drop("1")
	table.drop("nobody")
	if got := table.nearest([]uint32{0, 7, 0}, 4); !slices.Equal(got, []string{"3", "2", "6", "0"}) || len(table.rows) != 12 {
		t.Errorf("after drop: got %q and %d cells", got, len(table.rows))
	}
	wide := &labelTable{labels: mostCells/2 + 1}
	counts := make([]uint32, wide.labels)
	counts[0] = 1
	for range 3 {
		wide.add("x", counts)
	}
	if len(wide.ids) != 1 {
		t.Errorf("got %d rows, want 1 within %d cells", len(wide.ids), mostCells)
	}
}

// TestCensusRests: profiles that changed are counted again, but a census is good for fifty times what it took.
func TestCensusRests(t *testing.T) {
	p := create(t, small(t))
	first := mustPopulation(t, p)
	at := func(exact bool) *population {
		t.Helper()
		pop, err := p.population(context.Background(), exact)
		if err != nil {
			t.Fatal(err)
		}
		return pop
	}
	if at(true) != first {
		t.Error("nothing has changed, but a census was taken")
	}
	p.census.took = time.Hour
	mustLearn(t, p, "ann", examples(6, 0), &LearnOptions{Config: quick().Config, Start: StartFresh})
	if at(false) != first {
		t.Error("a census was taken before the last one had rested")
	}
	if second := at(true); second == first || second.use[1] == nil {
		t.Error("an exact census does not know of a new profile")
	}
	mustLearn(t, p, "bob", examples(6, 0), &LearnOptions{Config: quick().Config, Start: StartFresh})
	p.census.took = 0
	if got := at(false); got.use[1].profiles != 2 {
		t.Errorf("got %d profiles once the census had rested, want 2", got.use[1].profiles)
	}
	mustLearn(t, p, "cid", examples(6, 0), quick())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := p.population(ctx, true)
	wantError(t, "a census that ends early", err, context.Canceled)
	if got := at(true); got.use[1].profiles != 3 {
		t.Errorf("after one that ended early: got %d profiles, want 3", got.use[1].profiles)
	}
}

// TestCensusForgets: a profile that is forgotten while a census is taken is not in it.
func TestCensusForgets(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "ann", examples(6, 0), quick())
	c := &p.census
	if _, _, mine := c.look(p.store.Changes(), true); !mine {
		t.Fatal("nobody else takes a census, but it is not mine")
	}
	c.forget("ann") // as Forget does, after the census has read the record
	pop, err := c.take(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	for b, table := range pop.labels {
		if len(table.ids) != 0 {
			t.Errorf("%v: got %q, want nobody", b, table.ids)
		}
	}
}

// crowd puts n profiles of 15 labels over the default bank that are as if they had learned.
func crowd(b *testing.B, n int) *SDK {
	b.Helper()
	c := small(b)
	c.Bank, c.K, c.Labels = RandomBank{N: 150, Seed: 3, Bottleneck: 4}, 50, nil
	for i := range 15 {
		c.Labels = append(c.Labels, fmt.Sprint("label ", i))
	}
	p := create(b, c)
	at, err := p.newcomers()
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var batch []*store.Profile
	for i := range n {
		g := learner.NewLogits(150, 2)
		for j := range g.Values {
			g.Values[j] = r.Float32()
		}
		rec := &store.Profile{ID: fmt.Sprintf("user-%05d", i), Bank: at.bank, Head: at.head, Examples: 40, Prior: make([]uint32, 15)}
		if rec.Mask, err = g.Mask(50); err != nil {
			b.Fatal(err)
		}
		for range rec.Examples {
			rec.Prior[r.IntN(15)]++
		}
		batch = append(batch, rec)
	}
	if err := p.store.PutBatch(context.Background(), batch); err != nil {
		b.Fatal(err)
	}
	mustObserve(b, p, "observed", Example{Text: "hello", Label: "label 3"})
	return p
}

// BenchmarkColdStart has 10,000 learned profiles of 15 labels: a census, and what finding who answers costs with each fallback, the forward pass left out.
func BenchmarkColdStart(b *testing.B) {
	p, ctx := crowd(b, 10_000), context.Background()
	b.Run("census", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.takeCensus(ctx); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, f := range []Fallback{FallbackError, FallbackPopulation, FallbackNearest} {
		b.Run(fmt.Sprintf("serving/%s", orDefault(f, "error")), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := p.serving(ctx, "observed", f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
