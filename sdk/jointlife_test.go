package sdk

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestJointLife: what becomes of places when heads, labels and examples change; in an encrypted
// folder, which is opened again read-only.
func TestJointLife(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := small(t)
	c.Masks, c.Labels, c.Options.ObserveEvery, c.Options.MasterKey = false, sides, 1<<20, bytes.Repeat([]byte{7}, 32)
	p := create(t, c)
	q := plantedIn(t, p, 60, 1, 1)
	q.observed(t, p, 50, 40)
	join(t, p)
	along := func(id string, want bool) *snapshot {
		t.Helper()
		snap, err := p.snapshot(id)
		if err != nil || (snap.joint != nil) != want {
			t.Fatalf("%s: got %+v, %v, want along joint axes: %t", id, snap, err, want)
		}
		return snap
	}
	es := q.person(40)
	mustLearn(t, p, "ann", es[:8], nil)
	first := along("ann", true)
	if len(first.record.Prior) != 2 || first.offset[0] != first.bias[0] {
		t.Errorf("got counts %v and the offset %v, want them counted and not added to %v", first.record.Prior,
			first.offset, first.bias)
	}

	// One example is enough; a thumb down of one label of two says the other.
	mustLearn(t, p, "one", es[:1], nil)
	along("one", true)
	rejected := Example{Text: es[0].Text, Label: sides[0], Rejected: true}
	mustLearn(t, p, "no", []Example{rejected}, nil)
	mustLearn(t, p, "yes", []Example{{Text: es[0].Text, Label: sides[1]}}, nil)
	if a, b := along("no", true), along("yes", true); !bytes.Equal(a.record.Codes[0].Rows, b.record.Codes[0].Rows) ||
		!bytes.Equal(a.record.Bias, b.record.Bias) {
		t.Error("a rejection of one of two labels is another place than the other label")
	}

	// A label of one's own takes rows of one's own.
	if rep := mustLearn(t, p, "own", []Example{{Text: "server down", Label: "third"}, es[0], es[1]},
		&LearnOptions{AddLabels: true, Force: true}); rep.MaskBytes == 0 && !rep.Installed {
		t.Errorf("got %+v", rep)
	}
	along("own", false)

	// A head that is not the axes' sets them aside for new profiles; those that have a place keep
	// it.
	before := mustPredict(t, p, "ann", es[30].Text)
	if rep, err := p.TrainHead(ctx, nil); err != nil || rep.Installed || rep.Digest == "" ||
		!strings.Contains(rep.Reason, "TrainBank") {
		t.Fatalf("got %+v, %v, want the head of the axes kept", rep, err)
	}
	if rep, err := p.TrainHead(ctx, &TrainHeadOptions{Force: true}); err != nil || !rep.Installed {
		t.Fatalf("got %+v, %v", rep, err)
	}
	mustLearn(t, p, "later", es[:8], nil)
	along("later", false)
	if asked, err := p.Ask(ctx, "nobody", &AskOptions{Candidates: q.texts, N: 1}); !errors.Is(err, ErrNoPopulation) {
		t.Errorf("asked along axes that are set aside: got %v, %v, want ErrNoPopulation", asked, err)
	}
	if now := mustPredict(t, p, "ann", es[30].Text); distance(now, before) != 0 {
		t.Error("another head changed what is served")
	}
	mustLearn(t, p, "ann", es[8:9], nil)
	if again := along("ann", true); again.record.Head != first.record.Head ||
		again.record.Codes[0].Bank != first.record.Codes[0].Bank {
		t.Error("a place moved without a newer bank")
	}
	join(t, p)
	moved := mustLearn(t, p, "ann", es[:1], &LearnOptions{Force: true})
	if now := along("ann", true); !moved.Moved || now.record.Head == first.record.Head {
		t.Errorf("got %+v, want the profile under the newer head", moved)
	}
	mustLearn(t, p, "ann", es[10:12], &LearnOptions{DropExamples: true, Force: true})
	along("ann", false)

	want := mustPredict(t, p, "one", es[30].Text)
	dir := p.dir
	closeClean(t, p)
	o := *c.Options
	o.ReadOnly = true
	back := open(t, dir, &o)
	if got := mustPredict(t, back, "one", es[30].Text); distance(got, want) != 0 {
		t.Errorf("opened again: got %v, want %v", got, want)
	}
	if asked, err := back.Ask(ctx, "one", &AskOptions{Candidates: q.texts, N: 2}); err != nil || len(asked) != 2 {
		t.Errorf("read-only: got %v, %v, want two questions", asked, err)
	}
	if advice, err := back.Advise(ctx, nil); err != nil || advice.Population.People < 50 {
		t.Errorf("read-only: got %+v, %v, want advice", advice, err)
	}
}
