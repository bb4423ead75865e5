//go:build cgo

package sdk

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/xpeft/xpeft/store"
)

// only are n examples of one label.
func only(label string, n int) (out []Example) {
	for i := range n {
		out = append(out, Example{Text: fmt.Sprintf("%s %d", texts[label][i%4], i), Label: label})
	}
	return out
}

// neighbours has two that have learned, one mostly what is urgent, one mostly what is for later, and three that were observed once.
func neighbours(t *testing.T) *SDK {
	t.Helper()
	p := create(t, small(t))
	mustLearn(t, p, "urgent", append(only("urgent", 10), only("ignore", 2)...), forced())
	mustLearn(t, p, "later", append(only("later", 10), only("ignore", 1)...), forced())
	for _, l := range labels {
		mustObserve(t, p, "seen "+l, only(l, 1)...)
	}
	return p
}

// TestFallbacks: who answers, for every fallback, with and without profiles that have learned.
func TestFallbacks(t *testing.T) {
	full, empty := neighbours(t), create(t, small(t))
	mustObserve(t, empty, "seen urgent", only("urgent", 1)...)
	for _, c := range []struct {
		of       *SDK
		id       string
		fallback Fallback
		source   Source
		revision uint64
		err      error
	}{
		{full, "urgent", FallbackError, SourceProfile, 1, nil},
		{full, "urgent", FallbackNearest, SourceProfile, 1, nil},
		{full, "nobody", FallbackError, "", 0, ErrProfileNotFound},
		{full, "nobody", FallbackBase, SourceBase, 0, nil},
		{full, "nobody", FallbackPopulation, SourcePopulation, 0, nil},
		{full, "nobody", FallbackNearest, SourcePopulation, 0, nil}, // it has no counts
		{full, "seen urgent", FallbackError, SourceProfile, 1, nil},
		{full, "seen urgent", FallbackBase, SourceProfile, 1, nil},
		{full, "seen urgent", FallbackPopulation, SourcePopulation, 0, nil},
		{full, "seen urgent", FallbackNearest, SourceNearest, 0, nil},
		{full, "", FallbackNearest, SourceBase, 0, nil},
		{empty, "nobody", FallbackPopulation, SourceBase, 0, nil},
		{empty, "nobody", FallbackNearest, SourceBase, 0, nil},
		{empty, "seen urgent", FallbackPopulation, SourceProfile, 1, nil},
		{empty, "seen urgent", FallbackNearest, SourceProfile, 1, nil},
	} {
		out, err := c.of.PredictBatch(context.Background(), []Request{{Profile: c.id, Text: "server down", Fallback: c.fallback}})
		if err != nil {
			t.Fatal(err)
		}
		what := fmt.Sprintf("%q, fallback %q", c.id, c.fallback)
		wantError(t, what, out[0].Err, c.err)
		if out[0].Source != c.source || out[0].Revision != c.revision {
			t.Errorf("%s: got %q, revision %d, want %q, %d", what, out[0].Source, out[0].Revision, c.source, c.revision)
		}
	}
}

// TestFallbackAnswers: a profile that is made by hand of what should answer gives the same probabilities.
func TestFallbackAnswers(t *testing.T) {
	p, ctx := neighbours(t), context.Background()
	u := mustPopulation(t, p).use[1]
	get := func(id string) *store.Profile {
		rec, err := p.store.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	for _, c := range []struct {
		id       string
		fallback Fallback
		source   Source
		twin     *store.Profile
	}{
		{"nobody", FallbackPopulation, SourcePopulation, &store.Profile{Mask: u.mask}},
		{"seen later", FallbackPopulation, SourcePopulation, &store.Profile{Mask: u.mask, Prior: get("seen later").Prior}},
		{"seen urgent", FallbackNearest, SourceNearest, &store.Profile{Mask: get("urgent").Mask, Affine: get("urgent").Affine, Prior: get("seen urgent").Prior}},
		{"seen later", FallbackNearest, SourceNearest, &store.Profile{Mask: get("later").Mask, Affine: get("later").Affine, Prior: get("seen later").Prior}},
		{"seen ignore", FallbackNearest, SourceNearest, &store.Profile{Mask: get("urgent").Mask, Affine: get("urgent").Affine, Prior: get("seen ignore").Prior}},
	} {
		got := mustPredict(t, p, c.id, "please review", WithFallback(c.fallback))
		at, err := p.newcomers()
		if err != nil {
			t.Fatal(err)
		}
		c.twin.ID, c.twin.Bank, c.twin.Head, c.twin.Examples = "twin", at.bank, at.head, 1
		if _, err := p.store.Put(ctx, c.twin, store.Write{}); err != nil {
			t.Fatal(err)
		}
		want := mustPredict(t, p, "twin", "please review")
		if got.Source != c.source || got.Label != want.Label || distance(got, want) > 1e-5 {
			t.Errorf("%q, fallback %q: got %+v, want the answer %+v", c.id, c.fallback, got, want)
		}
		if err := p.Forget(ctx, "twin"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNearestFold: the adapter that is lent is the lender's in the cache, folded once; nobody who did not ask is served it.
func TestNearestFold(t *testing.T) {
	p := neighbours(t)
	mustPredict(t, p, "urgent", "server down")
	before, err := p.Stats()
	if err != nil {
		t.Fatal(err)
	}
	mustPredict(t, p, "seen urgent", "server down", WithFallback(FallbackNearest))
	after, err := p.Stats()
	if err != nil || after.Sub(before).Folds != 0 {
		t.Errorf("got %d folds (%v), want none: the lender's is there", after.Sub(before).Folds, err)
	}
	plain, lent := mustPredict(t, p, "seen urgent", "server down"), mustPredict(t, p, "seen urgent", "server down", WithFallback(FallbackNearest))
	if distance(plain, lent) < 1e-4 {
		t.Errorf("got the same answers without a fallback and with the nearest: %+v", plain)
	}
}

// TestForgetNearest: who is forgotten is lent no more, from the next request on, though no census is taken.
func TestForgetNearest(t *testing.T) {
	p, ctx := neighbours(t), context.Background()
	nearest := func(want Source) {
		t.Helper()
		p.census.took = time.Hour // no census but this one
		if out := mustPredict(t, p, "seen ignore", "server down", WithFallback(FallbackNearest)); out.Source != want {
			t.Errorf("got an answer of %q, want %q", out.Source, want)
		}
	}
	pop := mustPopulation(t, p)
	for i, id := range []string{"urgent", "later"} {
		nearest(SourceNearest)
		if err := p.Forget(ctx, id); err != nil {
			t.Fatal(err)
		}
		for b, table := range pop.labels {
			if len(table.ids) != 1-i || len(table.rows) != 3*(1-i) {
				t.Errorf("%v: got %q after Forget of %q, want %d", b, table.ids, id, 1-i)
			}
		}
	}
	nearest(SourcePopulation)
	p.census.took = 0
	if out := mustPredict(t, p, "seen ignore", "server down", WithFallback(FallbackNearest)); out.Source != SourceProfile {
		t.Errorf("got an answer of %q with nobody left, want the profile's", out.Source)
	}
}

// TestNearestMoved: a profile that has got another head, or is not trained any more, is not lent, though the census knows it as it was.
func TestNearestMoved(t *testing.T) {
	p, ctx := neighbours(t), context.Background()
	mustPopulation(t, p)
	p.census.took = time.Hour
	mustLearn(t, p, "urgent", only("urgent", 6), own(2))
	lent, _, err := p.serving(ctx, "seen ignore", FallbackNearest)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := p.store.Get("later")
	if err != nil || !lent.mask.Equal(rec.Mask) {
		t.Errorf("got another mask than that of the one who still shares the head (%v)", err)
	}
	rec.Examples = 0
	if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
		t.Fatal(err)
	}
	if out := mustPredict(t, p, "seen ignore", "server down", WithFallback(FallbackNearest)); out.Source != SourcePopulation {
		t.Errorf("got an answer of %q, want the population's", out.Source)
	}
	mustLearn(t, p, "own", only("ignore", 6), own(2))
	if _, source, err := p.serving(ctx, "own", FallbackNearest); err != nil || source != SourceProfile {
		t.Errorf("got %q (%v) for one with an own head, want itself", source, err)
	}
}
