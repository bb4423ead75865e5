package sdk

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/model"
)

// number learns numbers.
func number(epochs int) *LearnOptions {
	o := own(epochs)
	o.Head = NumberHead
	return o
}

func TestNumberHead(t *testing.T) {
	p := create(t, small(t))
	es := numbers(60)
	rep := mustLearn(t, p, "alice", es, number(60))
	if !(rep.After.Loss < 250) || rep.After.Accuracy != 0 || rep.After.N == 0 { // the targets' variance is 825
		t.Errorf("got %+v, want a squared error under 250", rep.After)
	}
	short, long := mustPredict(t, p, "alice", "a"), mustPredict(t, p, "alice", "a a a a a a a a a")
	if !(*short.Value < *long.Value) || short.Label != "" || short.Probabilities != nil {
		t.Errorf("got %+v and %+v, want the value to grow with the text", short, long)
	}
	if math.Abs(*short.Value-145) > 100 {
		t.Errorf("got %g, want a value in the targets' unit", *short.Value)
	}
	info, err := p.Profile(context.Background(), "alice")
	if err != nil || info.Head != NumberHead || len(info.Labels) != 0 {
		t.Errorf("got %+v (%v), want a head of numbers", info, err)
	}
	// The kind stays unless another is asked for, and goes on from where it was.
	still := number(1)
	still.Head = ""
	still.Config.HeadRate, still.Config.MaskRate, still.Config.AffineRate, still.Config.Nu = 0, 0, 0, 0
	still.DropExamples = true // else it begins anew
	mustLearn(t, p, "alice", es[:5], still)
	if again := mustPredict(t, p, "alice", "a"); math.Abs(*again.Value-*short.Value) > 0.5 {
		t.Errorf("got %g after a Learn at rate 0, want %g", *again.Value, *short.Value)
	}
}

// TestUnits learns the same numbers in other units.
func TestUnits(t *testing.T) {
	p := create(t, small(t))
	values := map[float64]float64{}
	for i, unit := range []float64{1, 1e-9, 1e20} {
		es := numbers(20)
		for j := range es {
			es[j].Value = Number(*es[j].Value * unit)
		}
		mustLearn(t, p, fmt.Sprint("profile ", i), es, number(10))
		values[unit] = *mustPredict(t, p, fmt.Sprint("profile ", i), "a a a").Value / unit
		if math.Abs(values[unit]-145) > 150 {
			t.Errorf("unit %g: got %g, want about 145", unit, values[unit])
		}
	}
	same := make([]Example, 8)
	for i := range same {
		same[i] = Example{Text: fmt.Sprint("text ", i), Value: Number(1e6)}
	}
	mustLearn(t, p, "constant", same, number(2))
	if v := *mustPredict(t, p, "constant", "text").Value; math.Abs(v-1e6) > 10 {
		t.Errorf("got %g from examples that are all 1e6", v)
	}
}

// TestHeadChanges takes one profile through all kinds of heads. What it stored for another kind is
// in nobody's way.
func TestHeadChanges(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	kind := func(want HeadKind, labels []string) {
		t.Helper()
		info, err := p.Profile(ctx, "alice")
		if err != nil || info.Head != want || !cmp.Equal(info.Labels, labels) {
			t.Fatalf("got a %s head of %q (%v), want %s of %q", info.Head, info.Labels, err, want, labels)
		}
	}
	mustLearn(t, p, "alice", examples(12, 0), forced())
	kind(SharedHead, labels)

	rep := mustLearn(t, p, "alice", numbers(12), number(10)) // no Force: there is nothing to compare with
	if !rep.Installed || rep.Examples != 12 {
		t.Errorf("got %+v, want a revision of the 12 numbers", rep)
	}
	kind(NumberHead, nil)
	_, err := p.Learn(ctx, "alice", examples(3, 0), nil)
	wantError(t, "labels for numbers", err, ErrExample)

	shared := forced()
	shared.Head = SharedHead
	if rep = mustLearn(t, p, "alice", examples(12, 0)[:3], shared); rep.Examples != 12 {
		t.Errorf("got %+v, want the 12 stored examples with labels", rep)
	}
	kind(SharedHead, labels)

	two := forced()
	two.Labels = []string{"later", "spam"}
	if rep = mustLearn(t, p, "alice", []Example{{Text: "win a car", Label: "spam"}}, two); rep.Examples != 5 {
		t.Errorf("got %+v, want the new example and the four stored ones with the label later", rep)
	}
	kind(OwnHead, two.Labels)
	_, err = p.Learn(ctx, "alice", []Example{{Text: "x", Label: "urgent"}}, nil)
	wantError(t, "a label that it had once", err, ErrUnknownLabel)

	add := forced()
	add.AddLabels = true
	if rep = mustLearn(t, p, "alice", []Example{{Text: "who is it", Label: "who"}}, add); rep.Examples != 14 {
		t.Errorf("got %+v, want all 14 with labels", rep)
	}
	kind(OwnHead, []string{"later", "spam", "urgent", "ignore", "who"})
	out := mustPredict(t, p, "alice", "hello")
	total := 0.0
	for _, x := range out.Probabilities {
		total += float64(x.P)
	}
	if len(out.Probabilities) != 5 || math.Abs(total-1) > 1e-5 {
		t.Errorf("got %+v, want 5 probabilities that add up to 1", out)
	}
}

// TestAddLabelKeepsWeights adds a label at rate 0 to a profile that goes on: the others' rows stay,
// and the judge counts what the old revision could not know as wrong.
func TestAddLabelKeepsWeights(t *testing.T) {
	p := create(t, small(t))
	first := own(20)
	first.DropExamples = true
	mustLearn(t, p, "alice", examples(30, 0), first)
	old, err := p.snapshot("alice")
	if err != nil {
		t.Fatal(err)
	}
	o := dropping()
	o.AddLabels = true
	o.Config.HeadRate, o.Config.MaskRate, o.Config.AffineRate, o.Config.Nu = 0, 0, 0, 0
	fresh := []Example{}
	for i := range 20 {
		fresh = append(fresh, Example{Text: fmt.Sprint("who is it ", i), Label: "who"})
	}
	rep := mustLearn(t, p, "alice", fresh, o)
	now, err := p.snapshot("alice")
	if err != nil {
		t.Fatal(err)
	}
	if !rep.Installed || !cmp.Equal(now.head.W[:3*tinyD], old.head.W) {
		t.Error("got other weights for the labels that were there")
	}
	if rep.Before.Accuracy != 0 || rep.Before.N != len(fresh) {
		t.Errorf("got %+v before, want the %d with the new label wrong", rep.Before, len(fresh))
	}
}

// TestOwnHeadOfTwoLayers adds a label to an own head that came with an inner layer.
func TestOwnHeadOfTwoLayers(t *testing.T) {
	l := &learning{sdk: create(t, small(t)), goesOn: true, options: LearnOptions{Labels: []string{"b", "c"}}}
	old := &model.Head{Labels: []string{"a", "b"}, Hidden: tinyD, W: make([]float32, 2*tinyD), B: []float32{1, 2},
		W1: make([]float32, tinyD*tinyD),
		B1: make([]float32, tinyD), Counts: make([]uint32, 2)}
	old.W[tinyD], old.W1[5] = 7, 3
	l.old = &snapshot{head: old, own: true}
	h, err := l.ownHead(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Validate(); err != nil || h.W[0] != 7 || h.B[0] != 2 || h.W[tinyD] != 0 || h.W1[5] != 3 {
		t.Errorf("got %v and %+v, want b's row first, c's of zeros, and the inner layer", err, h)
	}
}
