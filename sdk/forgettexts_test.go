package sdk

import (
	"context"
	"math"
	"slices"
	"testing"
)

// TestTextsKept: a bank keeps what single texts are if people agree on that, and nothing of them if
// it is told so; what people agree on in each text is answered better then.
func TestTextsKept(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := differing(t, "")
	q := plantedIn(t, p, 240, 1, 1) // more than φ can tell apart
	for i := range q.own {
		q.own[i] = 2 * q.rng.NormFloat64()
	}
	q.observed(t, p, 60, 60)
	rep := mustTrainBank(t, p)
	j, err := p.newcomersJoint()
	if err != nil || j == nil {
		t.Fatalf("got %+v, %v, %v, want axes", rep, j, err)
	}
	if rep.Population.KnownTexts < 200 || len(j.Keys) != rep.Population.KnownTexts {
		t.Errorf("got %+v, and %d keys, want most texts known", rep.Population, len(j.Keys))
	}
	var asked []Example
	for range 20 {
		asked = append(asked, q.person(60)...)
	}
	known := baseLoss(t, p, asked)
	forgot, err := p.TrainBank(ctx, &TrainBankOptions{ForgetTexts: true})
	if err != nil {
		t.Fatal(err)
	}
	now, err := p.newcomersJoint()
	if err != nil || now == nil || now.digest == j.digest || len(now.Keys) != 0 || forgot.Population.KnownTexts != 0 {
		t.Fatalf("told to forget: got %+v, %+v, %v", forgot.Population, now, err)
	}
	for _, try := range forgot.Population.Tried {
		if try.Text != 0 {
			t.Errorf("told to forget: tried %+v", try)
		}
	}
	other := baseLoss(t, p, asked)
	t.Logf("the base's loss: %.3f, without what it knows of texts %.3f", known, other)
	if known >= other {
		t.Errorf("got a loss of the base of %g, without what it knows of texts %g", known, other)
	}
	if advice, err := p.Advise(ctx, &TrainBankOptions{ForgetTexts: true}); err != nil ||
		advice.Population.KnownTexts != 0 {
		t.Errorf("advised: got %+v, %v", advice, err)
	}
}

// baseLoss is that of the base.
func baseLoss(t *testing.T, p *Folder, asked []Example) (sum float64) {
	t.Helper()
	for some := range slices.Chunk(asked, 256) {
		var reqs []Request
		for _, e := range some {
			reqs = append(reqs, Request{Profile: "nobody", Text: e.Text, Fallback: FallbackBase})
		}
		for i, a := range mustBatch(t, p, reqs) {
			sum -= math.Log(float64(a.Probabilities[slices.Index(sides, some[i].Label)].P)) / float64(len(asked))
		}
	}
	return sum
}
