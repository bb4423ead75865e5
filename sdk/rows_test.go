package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xpeft/xpeft/learner"
)

// adding learns by heart, and takes labels up that are new to the shared head.
func adding(epochs int) *LearnOptions {
	o := own(epochs)
	o.Head, o.AddLabels, o.Force = "", true, true
	return o
}

// bills are examples of a label that the shared head does not have.
func bills(n int) (es []Example) {
	for i := range n {
		es = append(es, Example{Text: fmt.Sprint("invoice of the month ", i), Label: "billing"})
	}
	return es
}

// TestOwnRows: a label that is new to the shared head gets a row of the profile's own beside it. It
// is learned, kept, carried and given up once the shared head has it.
func TestOwnRows(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	shared, ref, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	before := shared.Clone()
	mustLearn(t, p, "ann", append(examples(12, 0), bills(8)...), adding(60))
	all := append(slices.Clone(labels), "billing")
	info, err := p.Profile(ctx, "ann")
	if err != nil || info.Head != SharedHead || !slices.Equal(info.Labels, all) {
		t.Fatalf("got a %s head of %q (%v), want the shared one, with billing", info.Head, info.Labels, err)
	}
	snap, err := p.snapshot("ann")
	if err != nil {
		t.Fatal(err)
	}
	if n := len(snap.record.OwnHead); snap.record.Head != ref || n > 4*(tinyD+1)+32 {
		t.Errorf("got head %d and %d bytes of its own, want %d and one row", snap.record.Head, n, ref)
	}
	if d := cmp.Diff(before, shared); d != "" || !cmp.Equal(snap.head.W[:len(before.W)], before.W) ||
		!cmp.Equal(snap.head.B[:3], before.B) {
		t.Errorf("the shared head is not what it was: %s", d)
	}
	right, total := 0, 0.0
	for _, e := range bills(8) {
		if mustPredict(t, p, "ann", e.Text).Model == "billing" {
			right++
		}
	}
	out := mustPredict(t, p, "ann", "hello")
	for _, x := range out.Probabilities {
		total += float64(x.P)
	}
	if right < 7 || len(out.Probabilities) != 4 || math.Abs(total-1) > 1e-5 {
		t.Errorf("got %d of 8 bills right, %d probabilities that add up to %g", right, len(out.Probabilities), total)
	}
	if out := mustPredict(t, p, "nobody", "invoice of the month",
		PredictOptions{Fallback: FallbackBase}); len(out.Probabilities) != 3 {
		t.Errorf("got %d labels for others, want 3", len(out.Probabilities))
	}

	opts, err := adding(1).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.newLearning(ctx, "ann", nil, opts)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := learner.PrepareFor(ctx, p.env(l.bank), l.examples, l.config)
	if err := errors.Join(err, l.plan(texts)); err != nil || l.masks.all.job.Rows != 1 {
		t.Errorf("got %d rows to train (%v), want 1", l.masks.all.job.Rows, err)
	}

	mustLearn(t, p, "zoe", examples(6, 0), forced())
	var billed []string
	for info, err := range p.Profiles(ctx, &ProfilesOptions{Label: "billing"}) {
		if err != nil {
			t.Fatal(err)
		}
		billed = append(billed, info.ID)
	}
	if !slices.Equal(billed, []string{"ann"}) {
		t.Errorf("got %q with the label, want ann alone", billed)
	}

	// It stays, whether or not labels may be added, and is refused to who does not have it.
	mustObserve(t, p, "ann", Example{Text: "an invoice came", Label: "billing"})
	if _, err := p.Learn(ctx, "ann", examples(3, 5), forced()); err != nil {
		t.Fatal(err)
	}
	_, err = p.Learn(ctx, "ann", []Example{{Text: "x", Label: "another"}}, forced())
	wantError(t, "a label that may not be added", err, ErrUnknownLabel)
	_, err = p.Learn(ctx, "bob", bills(1), forced())
	wantError(t, "another's label", err, ErrUnknownLabel)
	answer := mustPredict(t, p, "ann", "invoice of the month 3", PredictOptions{NoTaught: true})
	if len(answer.Probabilities) != 4 {
		t.Errorf("got %+v, want billing to stay", answer)
	}

	// A bundle carries it.
	var b bytes.Buffer
	if _, err := p.Export(ctx, &b, &ExportOptions{IDs: []string{"ann"}}); err != nil {
		t.Fatal(err)
	}
	q := create(t, small(t))
	if _, err := q.Import(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(answer, mustPredict(t, q, "ann", "invoice of the month 3", PredictOptions{NoTaught: true}),
		cmpopts.EquateApprox(0, 1e-6)); d != "" {
		t.Errorf("after import (-here +there):\n%s", d)
	}

	// It is offered, joins when it is told to, and is then the shared head's.
	pending, err := p.PendingLabels(ctx)
	if want := []PendingLabel{{"", 1, 9}}; err != nil || !slices.Equal(pending, want) {
		t.Errorf("got %+v (%v), want %+v", pending, err, want)
	}
	if _, err := p.TrainHead(ctx, &TrainHeadOptions{AddLabels: []string{"billing"}, Config: headOptions().Config,
		Force: true, KeepBank: true}); err != nil {
		t.Fatal(err)
	}
	if rep, err := p.Rebase(ctx, "ann"); err != nil {
		t.Fatal(err)
	} else if snap, err = p.snapshot("ann"); err != nil || rep.Installed &&
		(snap.rows != 0 || snap.record.OwnHead != nil) || !slices.Equal(snap.head.Labels, all) {
		t.Errorf("got %d rows of its own of %q after %+v (%v), want the shared head's", snap.rows, snap.head.Labels,
			rep, err)
	}
}

// TestOwnRowTakenBack: with the last example of a label goes its name.
func TestOwnRowTakenBack(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "ann", append(examples(6, 0), Example{Text: "my secret", Label: "a secret"}, bills(1)[0]),
		adding(2))
	if err := p.ForgetExample(ctx, "ann", "my secret", nil); err != nil {
		t.Fatal(err)
	}
	drain(t, p)
	if info, err := p.Profile(ctx, "ann"); err != nil ||
		!slices.Equal(info.Labels, append(slices.Clone(labels), "billing")) {
		t.Errorf("got labels %q (%v), want the secret one gone", info.Labels, err)
	}
}

// TestOwnRowsTogether: profiles with and without rows of their own learn together what each learns
// alone.
func TestOwnRowsTogether(t *testing.T) {
	ctx, one, many := context.Background(), create(t, small(t)), create(t, small(t))
	requests := requestsOf("plain", "rows", "more rows")
	requests[1].Examples = append(requests[1].Examples, bills(3)...)
	requests[2].Examples = append(requests[2].Examples, append(bills(2), Example{Text: "so", Label: "fifth"})...)
	o := adding(2)
	got, err := many.LearnMany(ctx, requests, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range requests {
		want := mustLearn(t, one, r.Profile, r.Examples, o)
		if got[i].Err != nil {
			t.Fatalf("%s: got %v", r.Profile, got[i].Err)
		}
		if d := cmp.Diff(want, got[i].Report, cmpopts.EquateApprox(0, 1e-3),
			cmpopts.IgnoreFields(Report{}, "Seconds")); d != "" {
			t.Errorf("%s (-alone +together):\n%s", r.Profile, d)
		}
	}
}
