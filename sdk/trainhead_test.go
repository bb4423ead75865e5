package sdk

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/learner"
)

// headOptions train for long enough on the tiny model.
func headOptions() *TrainHeadOptions {
	c := learner.Default()
	c.Epochs, c.HeadRate = 40, 0.05
	return &TrainHeadOptions{Config: &c}
}

func TestTrainHead(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	_, err := p.TrainHead(ctx, nil)
	wantError(t, "without examples", err, ErrExample)
	_, err = p.TrainHead(ctx, &TrainHeadOptions{MaxExamples: -1})
	wantError(t, "bad options", err, ErrConfig)

	es := examples(60, 0)
	mustLearn(t, p, "alice", es[:30], forced())
	mustLearn(t, p, "bob", es[30:], forced())
	mustLearn(t, p, "own", examples(30, 1), own(1)) // means other things by the labels, and has a head for that
	mustLearn(t, p, "number", numbers(6), number(1))
	dropped := forced()
	dropped.DropExamples = true
	mustLearn(t, p, "dropped", examples(6, 1), dropped)
	before := map[string]Prediction{}
	for _, id := range []string{"alice", "own", "number"} {
		before[id] = mustPredict(t, p, id, "server down")
	}
	base := mustBatch(t, p, []Request{{Base: true, Text: "server down"}})[0]

	o, steps := headOptions(), 0
	o.Progress = func(step, total int, loss float32) { steps = step }
	rep, err := p.TrainHead(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	held := len(part(es[:30], true)) + len(part(es[30:], true))
	if !rep.Installed || rep.Profiles != 2 || rep.HeldOut != held || rep.Examples != 60-held || rep.Steps != steps ||
		rep.After.Accuracy < rep.Before.Accuracy ||
		rep.After.N != held || rep.Losses[rep.Steps-1] > rep.Losses[0] {
		t.Errorf("got %+v, want a better head from 2 profiles with %d examples, %d of them held out", rep, 60, held)
	}
	for id, want := range before {
		if d := cmp.Diff(want, mustPredict(t, p, id, "server down")); d != "" {
			t.Errorf("%s has another answer (-want +got):\n%s", id, d)
		}
	}
	if now := mustBatch(t, p, []Request{{Base: true, Text: "server down"}})[0]; distance(now, base) < 1e-3 {
		t.Error("got the old answer of the base, want the new head's")
	}
	h, ref, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	if total := h.Counts[0] + h.Counts[1] + h.Counts[2]; int(total) != rep.Examples || !cmp.Equal(h.Labels, labels) {
		t.Errorf("got counts %v of %q, want those of %d examples", h.Counts, h.Labels, rep.Examples)
	}
	mustLearn(t, p, "carol", examples(6, 0), forced())
	mustLearn(t, p, "alice", examples(6, 0), forced())
	for id, want := range map[string]uint32{"carol": ref, "alice": 1} {
		if rec, err := p.store.Get(id); err != nil || rec.Head != want {
			t.Errorf("%s: got head %d (%v), want %d", id, rec.Head, err, want)
		}
	}

	// A rate that ruins a head: the gate sees it.
	bad := headOptions()
	bad.Config.HeadRate, bad.Config.Epochs = 100, 1
	rep, err = p.TrainHead(ctx, bad)
	if err != nil {
		t.Fatal(err)
	}
	if now, _, err := p.shared(); err != nil || rep.Installed != (rep.After.Accuracy >= rep.Before.Accuracy) ||
		!rep.Installed && now != h {
		t.Errorf("got %+v (%v), want the better head", rep, err)
	}
	bad.Force = true
	if rep, err = p.TrainHead(ctx, bad); err != nil || !rep.Installed {
		t.Errorf("got %+v and %v, want it installed by force", rep, err)
	}
	few := headOptions()
	few.MaxExamples = 12
	if rep, err = p.TrainHead(ctx, few); err != nil || rep.Examples+rep.HeldOut > 12 || rep.Profiles < 2 {
		t.Errorf("got %+v and %v, want at most 12 examples of several profiles", rep, err)
	}
}

// TestTrainHeadMovesToLastBlock: under a trained head new profiles get the random bank in the last
// block; old ones stay until Rebase.
func TestTrainHeadMovesToLastBlock(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "old", examples(30, 0), forced())
	all, err := p.defaultBankDigest()
	if err != nil {
		t.Fatal(err)
	}
	o := headOptions()
	o.KeepBank = true
	if rep, err := p.TrainHead(ctx, o); err != nil || rep.Bank != all {
		t.Fatalf("got bank %s and %v, want the kept %s", rep.Bank, err, all)
	}
	o.KeepBank = false
	rep, err := p.TrainHead(ctx, o)
	if err != nil || rep.Bank == all {
		t.Fatalf("got bank %s and %v, want another than %s", rep.Bank, err, all)
	}
	if again, err := p.TrainHead(ctx, o); err != nil || again.Bank != rep.Bank {
		t.Errorf("the second time: got bank %s and %v, want %s", again.Bank, err, rep.Bank)
	}
	mustLearn(t, p, "new", examples(30, 0), nil)
	blocks := func(id string) int {
		info, err := p.Profile(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return info.Blocks
	}
	if o, n := blocks("old"), blocks("new"); o != 2 || n != 1 {
		t.Errorf("got profiles of %d and %d blocks, want 2 and 1", o, n)
	}
	alone := []Prediction{mustPredict(t, p, "old", "server down"), mustPredict(t, p, "new", "server down")}
	both := mustBatch(t, p, []Request{{Profile: "old", Text: "server down"}, {Profile: "new", Text: "server down"}})
	for i := range both {
		if distance(alone[i], both[i]) > 1e-5 {
			t.Errorf("got %v in a batch of both, want %v", both[i], alone[i])
		}
	}
	if _, err := p.Rebase(ctx, "old"); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Check(ctx, &CheckOptions{Deep: true}); err != nil {
		t.Errorf("check: %+v, %v", r, err)
	}
}
