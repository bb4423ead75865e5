package sdk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
)

func fewSteps(c *learner.BankConfig) { c.Updates, c.Bottleneck, c.WatchEvery = 6, 4, 2 }

// TestDay100 is the story of a store: profiles over a random bank, a bank trained on them, and
// profiles that move to it one by one while others stay.
func TestDay100(t *testing.T) {
	p := create(t, small(t))
	ctx := context.Background()
	if _, err := p.TrainBank(ctx, nil); !errors.Is(err, ErrExample) {
		t.Errorf("a bank of nobody: got %v, want ErrExample", err)
	}
	for i := range 6 {
		o, n := forced(), 24
		if i%2 == 1 { // they will be glad to move
			o.Config.BiasRate, o.Config.Constant, n = 20, true, 12
		}
		mustLearn(t, p, fmt.Sprint("user", i), examples(n, i%2), o)
	}
	before := mustPredict(t, p, "user1", "server down")
	rep, err := p.TrainBank(ctx, &TrainBankOptions{Edit: fewSteps})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Profiles != 5 || rep.Watched != 1 || rep.Blocks != 1 || len(rep.Losses) == 0 || len(rep.Looks) < 2 {
		t.Errorf("got %+v", rep)
	}
	for _, name := range []string{rep.Bank, rep.Bank + ".json"} {
		if _, err := os.Stat(filepath.Join(folder.Banks(p.dir), name)); err != nil {
			t.Error(err)
		}
	}
	if got := mustPredict(t, p, "user1", "server down"); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Error("a profile that was not moved is served otherwise")
	}
	// A profile over two blocks and one over one block, in one batch.
	mustLearn(t, p, "new", examples(24, 0), &LearnOptions{Force: true})
	if info, err := p.Profile(ctx, "new"); err != nil || info.Bank != rep.Bank || info.Blocks != 1 {
		t.Errorf("got %+v (%v), want the new profile on the new bank", info, err)
	}
	out, err := p.PredictBatch(ctx,
		[]Request{{Profile: "new", Text: "server down"}, {Profile: "user1", Text: "server down"},
			{Base: true, Text: "server down"}})
	if err != nil {
		t.Fatal(err)
	}
	alone := mustPredict(t, p, "new", "server down")
	for i, want := range []Prediction{alone, before} {
		for c, q := range out[i].Probabilities {
			if d := q.P - want.Probabilities[c].P; d > 1e-5 || d < -1e-5 {
				t.Errorf("row %d: got %v, alone %v", i, out[i].Probabilities, want.Probabilities)
				break
			}
		}
	}
	old, err := p.Profile(ctx, "user1")
	if err != nil {
		t.Fatal(err)
	}
	if got := idsOf(t, p, ProfilesOptions{Bank: old.Bank}); got != "user0 user1 user2 user3 user4 user5" {
		t.Errorf("got %q on the old bank", got)
	}
	moved := 0
	for rep, err := range p.RebaseAll(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if rep.Installed {
			moved++
		}
		info, err := p.Profile(ctx, rep.Profile)
		if err != nil || (info.Blocks == 1) != rep.Installed {
			t.Errorf("%s: installed %v, but %d blocks (%v)", rep.Profile, rep.Installed, info.Blocks, err)
		}
	}
	if moved == 0 {
		t.Error("no profile moved")
	}
	if got := len(strings.Fields(idsOf(t, p, ProfilesOptions{Bank: old.Bank}))); got != 6-moved {
		t.Errorf("got %d profiles on the old bank, want %d", got, 6-moved)
	}
	if rep, err := p.Rebase(ctx, "new"); err != nil || rep.Steps != 0 {
		t.Errorf("a profile that is there: got %+v (%v)", rep, err)
	}
	if _, err := p.Rebase(ctx, "nobody"); !errors.Is(err, ErrProfileNotFound) {
		t.Errorf("nobody: got %v", err)
	}
	if _, err := p.Check(ctx, &CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

// TestTrainBankResumes: a training that was cut off goes on.
func TestTrainBankResumes(t *testing.T) {
	p := create(t, small(t))
	for i := range 3 {
		mustLearn(t, p, fmt.Sprint("user", i), examples(12, i%2), nil)
	}
	edit := func(c *learner.BankConfig) {
		fewSteps(c)
		c.CheckpointEvery = 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := p.TrainBank(ctx, &TrainBankOptions{Edit: edit, Progress: func(step, _ int, _ float32) {
		if step == 3 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	rep, err := p.TrainBank(context.Background(), &TrainBankOptions{Edit: edit})
	if err != nil || rep.Resumed < 2 {
		t.Errorf("got %+v (%v), want it resumed", rep, err)
	}
}
