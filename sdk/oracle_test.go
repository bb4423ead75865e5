package sdk

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// strong is a configuration over a bank whose adapters change much, so that what adapter served an
// answer is seen in it.
func strong(t testing.TB) Config {
	c := small(t)
	c.Bank = bankFile(t, bank.Properties{N: 8, Blocks: 2, Bottleneck: 4, NormB: true}, 9)
	return c
}

// plainMask has one adapter chosen in every row.
func plainMask(t testing.TB, n, adapter int) *bitmask.Mask {
	t.Helper()
	m, err := bitmask.New(n, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for l := range 2 {
		m.Row(bitmask.Down, l).Set(adapter)
		m.Row(bitmask.Up, l).Set(adapter)
	}
	return m
}

// putMask stores a profile that is nothing but its masks.
func putMask(t testing.TB, p *Folder, id string, bankRef uint32, m *bitmask.Mask) {
	t.Helper()
	_, ref, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Put(context.Background(), &store.Profile{ID: id, Bank: bankRef, Head: ref, Mask: m},
		store.Write{}); err != nil {
		t.Fatal(err)
	}
}

// expect computes a profile's answer from its record, with nothing of what Predict uses between the
// store and the encoder.
func expect(t testing.TB, p *Folder, id, text string) Prediction {
	t.Helper()
	ctx := context.Background()
	rec, err := p.store.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := p.open(rec)
	if err != nil {
		t.Fatal(err)
	}
	f := foldOne(t, p, id)
	var e learner.Example
	p.tokenizer.Encode(&e.Text, text, "", p.maxTokens)
	x, err := learner.Embed(ctx, p.env(snap.bank), []learner.Example{e}, f)
	if err != nil {
		t.Fatal(err)
	}
	z := snap.head.Logits(nil, x)
	out := Prediction{Profile: id, Source: SourceProfile, Revision: rec.Revision}
	if snap.head.Regression() {
		out.Value = Number(float64(z[0]))
		return out
	}
	bias, err := decodeBias(rec.Bias, snap.head)
	if err != nil {
		t.Fatal(err)
	}
	prior := snap.head.Prior(rec.Prior, 3)
	for c := range z {
		if rec.Head != 0 && prior != nil {
			z[c] += prior[c]
		}
		if bias != nil {
			z[c] += bias[c]
		}
	}
	best := 0
	for c, prob := range model.Softmax(z) {
		out.Probabilities = append(out.Probabilities, Probability{snap.head.Labels[c], prob})
		if prob > z[best] {
			best = c
		}
	}
	out.Label = snap.head.Labels[best]
	return out
}

func TestPredictIsRecord(t *testing.T) {
	p := create(t, strong(t))
	skewed := append(examples(12, 0), examples(30, 0)[13]) // a prior that is not flat
	for i := range 12 {
		skewed = append(skewed, Example{Text: fmt.Sprint("again ", i), Label: "later"})
	}
	o := forced()
	o.Config.BiasRate, o.Config.AffineRate = 0.3, 0.3
	mustLearn(t, p, "shared", skewed, o)
	mustLearn(t, p, "own", skewed, own(2))
	mustLearn(t, p, "number", numbers(12), number(2))
	if rec, err := p.store.Get("shared"); err != nil || rec.Bias == nil || rec.Affine == nil ||
		rec.Prior[0] == rec.Prior[1] {
		t.Fatalf("got %+v (%v), want a prior, a bias and an affine", rec, err)
	}
	for _, id := range []string{"shared", "own", "number"} {
		near(t, id, mustPredict(t, p, id, "server down"), expect(t, p, id, "server down"))
	}
}

// TestIsolation has profiles that differ in one thing only: an adapter, or the bank.
func TestIsolation(t *testing.T) {
	p := create(t, strong(t))
	info := mustInfo(t, bank.Properties{Origin: bank.Random, N: 8, Blocks: 2, Hidden: tinyD, Bottleneck: 4,
		NormB: true, Seed: 5, SigmaA: 0.5, SigmaB: 0.5})
	second, err := p.store.PutBank(context.Background(), info)
	if err != nil {
		t.Fatal(err)
	}
	var reqs []Request
	for i := range 8 {
		for _, ref := range []uint32{1, second} {
			id := fmt.Sprintf("bank %d adapter %d", ref, i)
			putMask(t, p, id, ref, plainMask(t, 8, i))
			reqs = append(reqs, Request{Profile: id, Text: "server down"})
		}
	}
	answers := mustBatch(t, p, reqs)
	for i, a := range answers {
		near(t, reqs[i].Profile, a, expect(t, p, reqs[i].Profile, "server down"))
		for j, b := range answers[:i] {
			if d := distance(a, b); d < 1e-3 {
				t.Errorf("%s and %s differ by %g only: nothing would show that one got the other's", reqs[i].Profile,
					reqs[j].Profile, d)
			}
		}
	}
}

func TestKeyOf(t *testing.T) {
	a, b := bank.Digest{1}, bank.Digest{2}
	rec := func(m *bitmask.Mask, affine ...byte) *store.Profile { return &store.Profile{Mask: m, Affine: affine} }
	two, err := bitmask.New(8, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[contentKey]string{}
	for name, key := range map[string]contentKey{
		"a bank":       keyOf(a, bank.Digest{}, rec(plainMask(t, 8, 0))),
		"another bank": keyOf(b, bank.Digest{}, rec(plainMask(t, 8, 0))),
		"another mask": keyOf(a, bank.Digest{}, rec(plainMask(t, 8, 1))),
		"another k":    keyOf(a, bank.Digest{}, rec(two)),
		"an affine":    keyOf(a, bank.Digest{}, rec(plainMask(t, 8, 0), 1, 2)),
		"digits": keyOf(a, b, &store.Profile{Codes: []store.Code{{Labels: []uint32{1}, Rows: []byte{3},
			Scales: []byte{9}}}}),
		"other digits": keyOf(a, b, &store.Profile{Codes: []store.Code{{Labels: []uint32{1}, Rows: []byte{4},
			Scales: []byte{9}}}}),
		"another label": keyOf(a, b, &store.Profile{Codes: []store.Code{{Labels: []uint32{2}, Rows: []byte{3},
			Scales: []byte{9}}}}),
		"another scale": keyOf(a, b, &store.Profile{Codes: []store.Code{{Labels: []uint32{1}, Rows: []byte{3},
			Scales: []byte{8}}}}),
		"other axes": keyOf(a, a, &store.Profile{Codes: []store.Code{{Labels: []uint32{1}, Rows: []byte{3},
			Scales: []byte{9}}}}),
		"another affine": keyOf(a, bank.Digest{}, rec(plainMask(t, 8, 0), 1, 3)),
	} {
		if other, ok := keys[key]; ok {
			t.Errorf("%s and %s have one key", name, other)
		}
		keys[key] = name
	}
	id := rec(plainMask(t, 8, 0))
	id.ID, id.Revision, id.Head = "bob", 7, 3
	if keys[keyOf(a, bank.Digest{}, id)] != "a bank" {
		t.Error("got a key that depends on more than the adapter's content")
	}
}

// TestScoresOfReport: after is what profiles answer that learned the folds, before is the base with
// the prior of each fold's own counts; and the next Learn finds the answers again.
func TestScoresOfReport(t *testing.T) {
	ctx, p, q := context.Background(), create(t, strong(t)), create(t, strong(t))
	es := examples(40, 0)
	for i := range 12 {
		es[3*i].Label = "later" // so that the prior is not flat
	}
	opts, err := forced().withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.newLearning(ctx, "alice", es, opts)
	if err != nil {
		t.Fatal(err)
	}
	folds, err := digits.Folds(l.persons(numbered(0, len(es))), nil)
	if err != nil || len(folds) != 5 {
		t.Fatalf("got %d folds, %v, want 5", len(folds), err)
	}
	var before, after, n float64
	for f, fold := range folds {
		id := fmt.Sprint("fold ", f)
		var taught []Example
		for _, i := range fold.Train {
			taught = append(taught, es[i])
		}
		mustLearn(t, q, id, taught, forced())
		snap, err := q.snapshot(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range fold.Test {
			n++
			after -= math.Log(probability(mustPredict(t, q, id, es[i].Text), es[i].Label))
			x, err := learner.Embed(ctx, q.env(nil), q.encode(records(es[i:i+1]), snap.head), nil)
			if err != nil {
				t.Fatal(err)
			}
			z, prior := snap.head.Logits(nil, x), snap.head.Prior(snap.record.Prior, priorStrength)
			for c := range z {
				z[c] += prior[c]
			}
			class, _ := snap.head.Label(es[i].Label)
			before -= math.Log(float64(model.Softmax(z)[class]))
		}
	}
	rep := mustLearn(t, p, "alice", es, forced())
	if n != 40 || math.Abs(rep.After.Loss-after/n) > 1e-4 || math.Abs(rep.Before.Loss-before/n) > 1e-4 {
		t.Errorf("got losses of %g and then %g, want %g and %g of %g", rep.Before.Loss, rep.After.Loss, before/n,
			after/n, n)
	}
	again := mustLearn(t, p, "alice", es, forced())
	if again.Before.N != 40 || math.Abs(again.Before.Loss-rep.After.Loss) > 1e-3 ||
		math.Abs(again.After.Loss-rep.After.Loss) > 1e-6 {
		t.Errorf("got losses of %g and %g when it learned the same, want %g twice", again.Before.Loss,
			again.After.Loss, rep.After.Loss)
	}
	if _, err := p.Rollback(ctx, "alice", nil); err != nil { // the answers are gone, and their training runs again
		t.Fatal(err)
	}
	if again = mustLearn(t, p, "alice", es, forced()); again.Before.N != 40 ||
		math.Abs(again.Before.Loss-rep.After.Loss) > 1e-3 {
		t.Errorf("got %+v after a Rollback, want a loss of %g", again.Before, rep.After.Loss)
	}
}

// probability of a label.
func probability(p Prediction, label string) float64 {
	for _, x := range p.Probabilities {
		if x.Label == label {
			return float64(x.P)
		}
	}
	return 0
}
