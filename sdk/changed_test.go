package sdk

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
)

// filed are news as one invented person files them: each category under one of three labels, as a
// permutation of them says.
func filed(t *testing.T, person uint64) (texts []Example, category map[string]int) {
	t.Helper()
	authors, _ := news(t, 1)
	r := rand.New(rand.NewPCG(person, 9))
	for _, es := range authors {
		texts = append(texts, es...)
	}
	r.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
	category = map[string]int{}
	for _, e := range texts {
		if _, ok := category[e.Label]; !ok {
			category[e.Label] = r.IntN(3)
		}
	}
	return texts, category
}

// as labels texts, shifted by one or two for another meaning.
func as(texts []Example, category map[string]int, shift int) []Example {
	out := slices.Clone(texts)
	for i, e := range out {
		out[i].Label = labels[(category[e.Label]+shift)%3]
	}
	return out
}

// since is the sequence from which on a profile's examples count in full.
func since(t *testing.T, p *Folder, id string) uint64 {
	t.Helper()
	state, err := p.store.State(id)
	if err != nil {
		t.Fatal(err)
	}
	from, _ := decodeAnswers(state, false)
	return from
}

// TestChangedMind: of 260 texts the last 60 are filed by another meaning. After them the profile
// answers by the new one, nearly as well as one that was taught those 60 alone; where half of the
// last 60 have random labels instead, next to nothing is lost.
func TestChangedMind(t *testing.T) {
	t.Parallel()
	people, least, most := 1, 0.6, 0.03 // one person says little
	if long() {
		people, least, most = 12, 0.8, 0.005
	}
	ctx := context.Background()
	p := create(t, Config{Model: golden.Model(t), Labels: labels, MaxTokens: 64,
		Options: &Options{NoTaught: true, Device: device()}})
	var ratios, lost []float64
	for person := range people {
		texts, category := filed(t, uint64(person))
		first, last, test := texts[:200], texts[200:260], texts[260:460]
		teach := func(id string, es []Example) (noticed int) {
			for some := range slices.Chunk(es, 20) { // as they come
				if rep := mustLearn(t, p, id, some, nil); strings.Contains(rep.Reason, "count less") {
					noticed++
				}
			}
			return noticed
		}
		id := func(what string) string { return fmt.Sprint(what, " ", person) }
		mustLearn(t, p, id("changed"), as(first, category, 0), nil)
		if n := teach(id("changed"), as(last, category, 1)); n == 0 {
			t.Errorf("person %d: nobody noticed", person)
		}
		teach(id("fresh"), as(last, category, 1))
		now := as(test, category, 1)
		changed, fresh := served(t, p, id("changed"), now), served(t, p, id("fresh"), now)
		ratios = append(ratios, changed/fresh)

		r := rand.New(rand.NewPCG(uint64(person), 3))
		noisy := as(last, category, 0)
		for i := range noisy {
			if r.IntN(2) == 0 {
				noisy[i].Label = labels[r.IntN(3)]
			}
		}
		mustLearn(t, p, id("noisy"), as(first, category, 0), nil)
		before := served(t, p, id("noisy"), as(test, category, 0))
		if n := teach(id("noisy"), noisy); n != 0 {
			t.Errorf("person %d: noise was taken for a changed mind", person)
		}
		after := served(t, p, id("noisy"), as(test, category, 0))
		lost = append(lost, before-after)
		t.Logf("person %d: %.3f by the new meaning, %.3f of a fresh profile; noise: %.3f, then %.3f", person, changed,
			fresh, before, after)
		if since(t, p, id("changed")) == 0 {
			t.Errorf("person %d: all examples count in full", person)
		}
		if _, err := p.Rollback(ctx, id("changed"), nil); err != nil || since(t, p, id("changed")) != 0 {
			t.Errorf("person %d: rolled back, %v, and older examples count less still", person, err)
		}
	}
	ratio, loss := mean(ratios), mean(lost)
	t.Logf("%d people: ratio %.3f (± %.3f), lost to noise %.4f (± %.4f)", people, ratio, 1.96*standardError(ratios),
		loss, 1.96*standardError(lost))
	if ratio < least || math.IsNaN(ratio) || loss > most {
		t.Errorf("got a ratio of %.3f and a loss of %.4f, want %g and %g", ratio, loss, least, most)
	}
}
