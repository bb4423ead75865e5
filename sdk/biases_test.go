package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
)

// TestBiases: where people do not differ along axes, but a fitted bias says more of them than
// counts, TrainBank leaves its precision behind, and who learns afterwards is served with that
// bias, from one example on; who learned before is served as before.
func TestBiases(t *testing.T) {
	ctx, p := context.Background(), differing(t, "")
	q := plantedIn(t, p, 60, 0, 3)
	q.observed(t, p, 40, 30)
	es := q.person(20)
	mustLearn(t, p, "before", es[:1], nil)
	before := mustPredict(t, p, "before", es[5].Text).Probabilities
	rep := mustTrainBank(t, p)
	if rep.Installed || rep.Population.Rank > 0 || rep.Population.Biases == 0 {
		t.Fatalf("got %+v", rep.Population)
	}
	if now := mustPredict(t, p, "before", es[5].Text).Probabilities; fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("learned before: got %v, want %v", now, before)
	}
	h, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	features := func(text string) []float32 {
		var e model.Encoding
		p.tokenizer.Encode(&e, text, "", p.maxTokens)
		phi, err := p.features(ctx, []model.Encoding{e})
		if err != nil {
			t.Fatal(err)
		}
		return phi
	}
	for _, n := range []int{1, 2, 12} { // of one label, then of both, with digits
		id, some, who := fmt.Sprint("new ", n), &population.Examples{},
			&digits.Person{A: p.axes.Count(), C: 2, Digits: p.axes.Digits, Biases: rep.Population.Biases}
		taught := es[:n]
		if n == 2 {
			taught = []Example{es[0], {Text: es[1].Text, Label: es[0].Label}}
		}
		for _, e := range taught {
			phi := features(e.Text)
			class, _ := h.Label(e.Label)
			who.P, who.Base, who.Class = p.axes.Project(who.P, phi), h.Logits(who.Base, phi), append(who.Class, class)
		}
		some.Rows, some.Class = numeric.Widen(who.Base), who.Class
		_, b, err := (&population.Model{C: 2, Beta: rep.Population.Biases}).Real(some)
		if err != nil {
			t.Fatal(err)
		}
		mustLearn(t, p, id, taught, &LearnOptions{Force: true})
		snap, err := p.snapshot(id)
		if err != nil {
			t.Fatal(err)
		}
		if has := len(snap.record.Codes) > 0; has != (n == 12) {
			t.Fatalf("%d examples: got digits %t", n, has)
		}
		if n == 12 {
			res, err := digits.Learn(ctx, who, nil)
			if err != nil {
				t.Fatal(err)
			}
			numeric.Add(b, 1, numeric.Widen(res.Bias))
		}
		for c, want := range b {
			if got := float64(snap.offset[c]); math.Abs(got-want) > 0.01 {
				t.Errorf("%d examples, %s: got an offset of %g, want %g", n, h.Labels[c], got, want)
			}
		}
	}
	if err := p.store.PutMeta(ctx, metaBiases, []byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Learn(ctx, "new 1", es[:2], nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged precision: got %v", err)
	}
}

// TestObserveEarly: where a population has axes, what was observed is learned from the first
// example on, and again when as many more have come; without any, when four wait.
func TestObserveEarly(t *testing.T) {
	p, q := joined(t)
	es := q.person(20)
	learned := func(id string) uint32 {
		t.Helper()
		drain(t, p)
		rec, err := p.store.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		if rec.Examples > 0 && len(rec.Codes) == 0 {
			t.Errorf("%s: no place on the axes", id)
		}
		return rec.Examples
	}
	for i, want := range []uint32{1, 2, 2, 4, 4, 4, 4, 8} {
		mustObserve(t, p, "new", es[i])
		if got := learned("new"); got != want {
			t.Fatalf("%d observed: got %d learned, want %d", i+1, got, want)
		}
	}
	fresh := differing(t, "")
	mustObserve(t, fresh, "new", es[:3]...)
	drain(t, fresh)
	if rec, err := fresh.store.Get("new"); err != nil || rec.Examples > 0 {
		t.Errorf("without axes: got %v, %v", rec, err)
	}
	if err := fresh.putBiasPrecision(context.Background(), 3); err != nil {
		t.Fatal(err)
	}
	mustObserve(t, fresh, "other", es[0])
	drain(t, fresh)
	if rec, err := fresh.store.Get("other"); err != nil || rec.Examples != 1 || rec.Bias == nil {
		t.Errorf("with fitted biases: got %v, %v", rec, err)
	}
}
