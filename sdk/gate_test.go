package sdk

import (
	"bytes"
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// randomly are examples of other texts with labels that say nothing.
func randomly(n int) []Example {
	out := examples(100+n, 0)[100:]
	for i := range out {
		out[i].Label = labels[(i*7+i/5)%3]
	}
	return out
}

// TestGate teaches a profile that knows its examples labels that say nothing.
func TestGate(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := small(t)
	c.Options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p := create(t, c)
	es := examples(60, 0)
	good := mustLearn(t, p, "alice-secret", es, own(40))
	if good.After.Accuracy < 0.6 || good.After.N != 60 || good.Before.N != 60 {
		t.Fatalf("got %+v, want a profile that knows its examples", good)
	}
	want := mustPredict(t, p, "alice-secret", "server down")
	wrong := randomly(30)
	rep := mustLearn(t, p, "alice-secret", wrong, own(40))
	if rep.Installed || rep.Revision != 1 || !strings.HasPrefix(rep.Reason, "kept") || rep.Before.N != 90 {
		t.Errorf("got %+v, want the old revision kept", rep)
	}
	info, err := p.Profile(context.Background(), "alice-secret")
	if err != nil || rep.Bytes != info.Bytes || rep.Bytes != good.Bytes || rep.MaskBytes != info.MaskBytes {
		t.Errorf("got %d bytes, want the served record's %d (%v)", rep.Bytes, info.Bytes, err)
	}
	if d := cmp.Diff(want, mustPredict(t, p, "alice-secret", "server down")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	again := mustLearn(t, p, "alice-secret", es[:1], own(40)) // what was refused is answered by what is served
	if again.Installed || math.Abs(again.Before.Loss-rep.Before.Loss) > 0.05*rep.Before.Loss ||
		again.Before.N != rep.Before.N {
		t.Errorf("got %+v, then %+v, want the same sides again", rep.Before, again.Before)
	}
	stored, err := p.stored("alice-secret")
	if err != nil || len(stored) != len(es)+len(wrong) {
		t.Errorf("got %d stored examples (%v), want %d", len(stored), err, len(es)+len(wrong))
	}
	force := own(40)
	force.Force = true
	if rep = mustLearn(t, p, "alice-secret", wrong, force); !rep.Installed || rep.Revision != 2 ||
		!strings.Contains(rep.Reason, "force") {
		t.Errorf("got %+v, want it installed by force", rep)
	}
	if s := log.String(); !strings.Contains(s, "kept the old revision") || strings.Contains(s, "secret") ||
		strings.Contains(s, "server") {
		t.Errorf("got log %q, want the reason, and neither id nor text", s)
	}
}

// TestGateErases says that DropExamples erases also when the old revision stays.
func TestGateErases(t *testing.T) {
	t.Parallel()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(60, 0), own(40))
	es := append(examples(90, 0)[60:], randomly(30)...) // with nothing replayed, the old revision is better
	want := mustPredict(t, p, "alice", "server down")
	o := own(40)
	o.DropExamples = true
	rep := mustLearn(t, p, "alice", es, o)
	if rep.Installed || rep.Revision != 2 {
		t.Errorf("got %+v, want the old one kept, as revision 2", rep)
	}
	if stored, err := p.stored("alice"); err != nil || len(stored) != 0 {
		t.Errorf("got %d stored examples (%v), want none", len(stored), err)
	}
	got := mustPredict(t, p, "alice", "server down")
	want.Revision = 2
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if rep = mustLearn(t, p, "alice", es, o); rep.Installed || rep.Revision != 2 {
		t.Errorf("got %+v, want no new revision: there is nothing to erase", rep)
	}
}

// TestPriorServesMasks: instead of first masks that are worse out of fold than the label prior,
// that prior serves, as a record without masks; and masks that are better take its place.
func TestPriorServesMasks(t *testing.T) {
	p := create(t, small(t))
	wild := quick()
	wild.Config.MaskRate, wild.Config.AffineRate, wild.Config.BiasRate, wild.Config.Constant = 5, 5, 20, true
	rep := mustLearn(t, p, "ann", randomly(30), wild)
	rec, err := p.store.Get("ann")
	if err != nil || !rep.Installed || !strings.Contains(rep.Reason, "prior alone") ||
		rep.After.Loss <= rep.Before.Loss || rec.Mask != nil || rec.Bank != 0 || rep.Bytes > 80 {
		t.Fatalf("got %+v, %+v, %v, want the prior to serve", rep, rec, err)
	}
	snap, err := p.snapshot("ann")
	if err != nil {
		t.Fatal(err)
	}
	got, base := mustPredict(t, p, "ann", "server down"),
		mustPredict(t, p, "nobody", "server down", PredictOptions{Fallback: FallbackBase})
	prior := snap.head.Prior(rec.Prior, priorStrength)
	for i := range got.Probabilities { // log-odds are the base's and the prior's
		a := math.Log(float64(got.Probabilities[i].P / got.Probabilities[0].P))
		b := math.Log(float64(base.Probabilities[i].P/base.Probabilities[0].P)) + float64(prior[i]-prior[0])
		if math.Abs(a-b) > 1e-4 {
			t.Errorf("%s: got log-odds of %g, want %g", got.Probabilities[i].Label, a, b)
		}
	}
	if rep, err := p.Rebase(t.Context(), "ann"); err != nil || !strings.Contains(rep.Reason, "is on") {
		t.Errorf("got %+v, %v, want it left alone", rep, err)
	}
	if rep := mustLearn(t, p, "ann", meant(60, 200), forced()); !rep.Installed || rep.Moved || rep.Before.N != 90 {
		t.Errorf("got %+v, want masks in the prior's place", rep)
	}
	if rec, err = p.store.Get("ann"); err != nil || rec.Mask == nil {
		t.Errorf("got %+v, %v, want masks", rec, err)
	}
	if _, err := p.Check(t.Context(), &CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}
