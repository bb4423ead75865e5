package sdk

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGate teaches a profile that knows its examples the contrary, but for those that are held out.
func TestGate(t *testing.T) {
	var log bytes.Buffer
	c := small(t)
	c.Options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p := create(t, c)
	es := examples(60, 0)
	good := mustLearn(t, p, "alice-secret", es, own(40))
	if good.After.Accuracy < 0.6 || good.After.N != good.HeldOut || good.Before.N != good.HeldOut {
		t.Fatalf("got %+v, want a profile that knows its examples", good)
	}
	want := mustPredict(t, p, "alice-secret", "server down")
	wrong := part(examples(60, 1), false)
	rep := mustLearn(t, p, "alice-secret", wrong, own(40))
	if rep.Installed || rep.Revision != 1 || !strings.HasPrefix(rep.Reason, "kept") || rep.After.Accuracy >= rep.Before.Accuracy {
		t.Errorf("got %+v, want the old revision kept", rep)
	}
	if rep.Before.Accuracy != good.After.Accuracy {
		t.Errorf("got %g before, want the %g of the old revision", rep.Before.Accuracy, good.After.Accuracy)
	}
	info, err := p.Profile("alice-secret")
	if err != nil || rep.Bytes != info.Bytes || rep.Bytes != good.Bytes || rep.MaskBytes != info.MaskBytes {
		t.Errorf("got %d bytes, want the served record's %d (%v)", rep.Bytes, info.Bytes, err)
	}
	if d := cmp.Diff(want, mustPredict(t, p, "alice-secret", "server down")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	stored, err := p.stored("alice-secret")
	if err != nil || len(stored) != len(es) { // one text counts once
		t.Errorf("got %d stored examples (%v), want %d", len(stored), err, len(es))
	}
	force := own(40)
	force.Force = true
	if rep = mustLearn(t, p, "alice-secret", wrong, force); !rep.Installed || rep.Revision != 2 || !strings.Contains(rep.Reason, "force") {
		t.Errorf("got %+v, want it installed by force", rep)
	}
	if s := log.String(); !strings.Contains(s, "kept the old revision") || strings.Contains(s, "secret") || strings.Contains(s, "server") {
		t.Errorf("got log %q, want the reason, and neither id nor text", s)
	}
}

// TestGateErases says that DropExamples erases also when the old revision stays.
func TestGateErases(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(60, 0), own(40))
	// All are held out or wrong: with nothing replayed, the old revision is better.
	es := append(part(examples(60, 0), true), part(examples(60, 1), false)...)
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
