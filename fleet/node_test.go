package fleet

import (
	"errors"
	"testing"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// messages are what one person files, and how.
var messages = []sdk.Example{
	{Text: "The web server is down again", Label: "urgent"},
	{Text: "Disk full on the database host", Label: "urgent"},
	{Text: "Checkout returns errors since the last deploy", Label: "urgent"},
	{Text: "The pager went off twice tonight", Label: "urgent"},
	{Text: "Could you review my change this week?", Label: "later"},
	{Text: "Please send me your travel receipts", Label: "later"},
	{Text: "The planning meeting moved to Thursday", Label: "later"},
	{Text: "Your dentist has a new appointment for you", Label: "later"},
	{Text: "Only today: half price on all shoes!", Label: "ignore"},
	{Text: "You have won a voucher, click here", Label: "ignore"},
	{Text: "The cup final ended three to one", Label: "ignore"},
	{Text: "Join our webinar on synergy", Label: "ignore"},
}

// patience is how long tests wait for what will come: a starved machine needs a minute at times.
const patience = 5 * time.Minute

// within waits until ok.
func within(t *testing.T, most time.Duration, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > most {
			t.Fatalf("got no %s within %v", what, most)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(began)
}

// answers asks a node as a program would; "" if it does not answer for the profile.
func answers(t *testing.T, n *Node, id, text string) (label string, source sdk.Source) {
	t.Helper()
	p, err := n.Predict(t.Context(), id, text, nil)
	if err != nil && !errors.Is(err, sdk.ErrProfileNotFound) && !errors.Is(err, ErrStale) {
		t.Fatal(err)
	}
	return p.Label, p.Source
}

// TestTaughtHereAnsweredThere: what a person tells one node is learned by a learner, and answered
// by another node; and when they are forgotten on one, no node answers.
func TestTaughtHereAnsweredThere(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	a, b := c.open(c.config("a")), c.open(c.config("b"))
	learner := c.learner("learner")
	if err := a.Observe(t.Context(), "alice", messages[0]); err != nil {
		t.Fatal(err)
	}
	if label, source := answers(t, a, "alice", messages[0].Text); label != "urgent" || source != sdk.SourceTaught {
		t.Errorf("on the node that was taught: got %s by %s, want urgent, taught", label, source)
	}
	took := within(t, patience, "answer elsewhere", func() bool {
		label, source := answers(t, b, "alice", messages[0].Text)
		return label == "urgent" && source == sdk.SourceTaught
	})
	t.Logf("taught on one node, answered on another after %v", took)
	for _, e := range messages[1:] {
		if err := a.Observe(t.Context(), "alice", e); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "training", func() bool {
		info, err := b.Profile(t.Context(), "alice")
		return err == nil && info.Examples >= 4
	})
	if label, source := answers(t, b, "alice", "Login fails for all users"); label != "urgent" || source != sdk.SourceProfile {
		t.Errorf("got %s by %s, want urgent by the profile", label, source)
	}
	rep, err := b.Learn(t.Context(), "bob", messages, nil)
	if err != nil || rep.Examples != len(messages) {
		t.Fatalf("Learn on a node that does not learn: got %+v, %v", rep, err)
	}
	if _, err := b.Learn(t.Context(), "bob", []sdk.Example{{Text: "x", Label: "nonsense"}}, nil); !errors.Is(err, sdk.ErrUnknownLabel) {
		t.Errorf("got %v, want ErrUnknownLabel", err)
	}
	if err := a.Forget(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*Node{a, b, learner} {
		if _, err := n.Predict(t.Context(), "alice", "Login fails", nil); !errors.Is(err, sdk.ErrProfileNotFound) {
			t.Errorf("after Forget: got %v, want ErrProfileNotFound", err)
		}
	}
	if err := b.Forget(t.Context(), "nobody"); !errors.Is(err, sdk.ErrProfileNotFound) {
		t.Errorf("Forget of nobody: got %v, want ErrProfileNotFound", err)
	}
}

// TestHalfDone: what a learner did in its folder and could not write is taken back, of a profile
// that the fleet does not know or has forgotten too.
func TestHalfDone(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	a := c.open(c.config("a"))
	name := a.secrets.nameOf("dave")
	for _, value := range []value{{}, {gone: true, epoch: 1, through: 1}} {
		if value.gone {
			subject := a.valueSubject(partitionOf(name, 2), personKey+name)
			if _, err := a.write(t.Context(), subject, value.encode(), 0, newID()); err != nil {
				t.Fatal(err)
			}
			within(t, patience, "gone", func() bool {
				e, err := a.state.entry(name)
				return err == nil && e.Gone
			})
		}
		if half, err := a.state.fold(name, "dave"); err != nil || half {
			t.Fatalf("got %v, %v, want nothing half done", half, err)
		}
		if err := a.folder.Observe(t.Context(), "dave", messages[0]); err != nil {
			t.Fatal(err)
		}
		if half, err := a.state.folding(); err != nil || len(half) != 1 {
			t.Errorf("got %v, %v, want one profile half done", half, err)
		}
		if err := a.refresh(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if _, err := a.folder.Profile(t.Context(), "dave"); !errors.Is(err, sdk.ErrProfileNotFound) {
			t.Errorf("what nobody wrote: got %v, want ErrProfileNotFound", err)
		}
	}
}
