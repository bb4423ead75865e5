//go:build cgo

package sdk

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/learner"
)

// TestStart: where training begins, and what the report says of it.
func TestStart(t *testing.T) {
	full, empty := neighbours(t), create(t, small(t))
	for _, c := range []struct {
		what string
		of   *SDK
		id   string
		head HeadKind
		ask  Start
		want Start
	}{
		{"none to start from", empty, "a", "", StartNearest, StartFresh},
		{"default", full, "a", "", "", StartPopulation},
		{"fresh", full, "b", "", StartFresh, StartFresh},
		{"nearest", full, "c", "", StartNearest, StartNearest},
		{"observed", full, "seen later", "", StartNearest, StartNearest},
		{"own head", full, "d", OwnHead, StartNearest, StartPopulation},
		{"it has learned", full, "urgent", "", StartNearest, StartProfile},
	} {
		o := forced()
		o.Start, o.Head = c.ask, c.head
		if rep := mustLearn(t, c.of, c.id, only("later", 6), o); rep.Start != c.want {
			t.Errorf("%s: got %q, want %q", c.what, rep.Start, c.want)
		}
	}
	for _, bad := range []Start{"best", StartProfile} {
		_, err := full.Learn(context.Background(), "x", only("later", 6), &LearnOptions{Start: bad})
		wantError(t, string(bad), err, ErrConfig)
	}
}

func newcomer(t *testing.T, p *SDK, es []Example) *lesson {
	t.Helper()
	o, err := (&LearnOptions{Start: StartNearest}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.newLesson(context.Background(), "new", es, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestStartNearest: of those with labels in common it is the one with the least loss on the new examples.
func TestStartNearest(t *testing.T) {
	p, ctx := neighbours(t), context.Background()
	for _, es := range [][]Example{only("ignore", 8), append(only("urgent", 4), only("later", 4)...)} {
		l := newcomer(t, p, es)
		got, from, err := l.start(ctx)
		if err != nil || from != StartNearest {
			t.Fatalf("got %q (%v), want nearest", from, err)
		}
		counts, loss := l.counts(l.data.train), map[string]float64{}
		for _, id := range []string{"urgent", "later"} {
			s, err := p.snapshot(id)
			if err != nil {
				t.Fatal(err)
			}
			s.bias = nil // it is not lent
			sc, err := l.scoreSnapshot(ctx, s, counts, l.data.train)
			if err != nil {
				t.Fatal(err)
			}
			loss[id] = sc.Loss
		}
		best := "urgent"
		if loss["later"] < loss["urgent"] {
			best = "later"
		}
		s, err := p.snapshot(best)
		if err != nil {
			t.Fatal(err)
		}
		affine, err := s.affine()
		if err != nil || !slices.Equal(got.Logits.Values, learner.FromMask(s.mask).Values) || !slices.Equal(got.Affine, affine) || got.Bias != nil {
			t.Errorf("got another start than %q's mask and affine (%v); losses %v", best, err, loss)
		}
	}
}

// TestStartKeepsAffine: a lent affine that is not trained is stored, as the masks are trained under it.
func TestStartKeepsAffine(t *testing.T) {
	p := neighbours(t)
	o := forced()
	o.Start, o.Config.Affine = StartNearest, false
	rep := mustLearn(t, p, "new", only("urgent", 8), o)
	affine := func(id string) []float32 {
		s, err := p.snapshot(id)
		if err != nil {
			t.Fatal(err)
		}
		a, err := s.affine()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if rep.Start != StartNearest {
		t.Fatalf("start %q", rep.Start)
	}
	lenders, got := 0, affine("new")
	for _, id := range []string{"urgent", "later"} {
		off := 0.0
		for i, v := range affine(id) {
			off = max(off, math.Abs(float64(v-got[i])))
		}
		if off < 1e-5 { // 8 bits of 8 bits: the step may be rounded once more
			lenders++
		}
	}
	if lenders != 1 {
		t.Errorf("got the affine of %d lenders, want that of one", lenders)
	}
}
