package sdk

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/learner"
)

// folds is how the demo's messages are split: each is scored once, by a profile that learned from
// the other parts.
const folds = 3

// fold is one person's profile of one part.
type fold struct {
	learn []Example
	ask   []Request
	want  []string
}

// demoFolds are those of the demo's five people.
func demoFolds(t *testing.T) map[string]*fold {
	t.Helper()
	f, err := os.Open("../examples/demo/data/people.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, n := map[string]*fold{}, 0
	for sc := bufio.NewScanner(f); sc.Scan(); n++ {
		var m struct{ Profile, Text, Label string }
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for part := range folds {
			id := fmt.Sprint(m.Profile, " ", part)
			if out[id] == nil {
				out[id] = &fold{}
			}
			if p := out[id]; n%folds == part {
				p.ask, p.want = append(p.ask, Request{Profile: id, Text: m.Text}), append(p.want, m.Label)
			} else {
				p.learn = append(p.learn, Example{Text: m.Text, Label: m.Label})
			}
		}
	}
	return out
}

// TestEffortAccuracy measures what fast costs and takes: half of the blocks must be better than two
// fifths of the epochs, which take about as long.
func TestEffortAccuracy(t *testing.T) {
	if !long() {
		t.Skip("minutes: set XPEFT_LONG=1")
	}
	short := learner.Default()
	short.Epochs = short.Epochs * 2 / 5
	efforts := map[string]LearnOptions{"default": {}, "fast": {Effort: learner.EffortFast},
		"two fifths of the epochs": {Config: &short}}
	accuracy := map[string]float64{}
	for name, o := range efforts {
		right, n, took := 0, 0, 0.0
		for seed := range uint64(2) {
			p := create(t, Config{Model: golden.Model(t), Bank: RandomBank{N: 150, Seed: 42 + seed}, Labels: labels,
				Masks: true, Options: &Options{Device: device()}})
			for id, f := range demoFolds(t) {
				took += mustLearn(t, p, id, f.learn, &o).Seconds
				got, err := p.PredictBatch(context.Background(), f.ask)
				if err != nil {
					t.Fatal(err)
				}
				for i, g := range got {
					if n++; g.Label == f.want[i] {
						right++
					}
				}
			}
		}
		accuracy[name] = 100 * float64(right) / float64(n)
		t.Logf("%s: %.1f %% of %d messages, %.1f s for all profiles", name, accuracy[name], n, took)
	}
	if accuracy["fast"] <= accuracy["two fifths of the epochs"] {
		t.Errorf("got %v", accuracy)
	}
}

// TestEffort: fast leaves the lower half without an adapter if nothing was learned there, else it
// takes fewer steps; thorough takes more.
func TestEffort(t *testing.T) {
	p := create(t, small(t))
	steps := map[learner.Effort]int{}
	for _, e := range []learner.Effort{learner.EffortFast, learner.EffortDefault, learner.EffortThorough} {
		steps[e] = mustLearn(t, p, "user"+string(e), examples(20, 0), &LearnOptions{Effort: e}).Steps
	}
	if trainsAll(p) != (steps[learner.EffortFast] == steps[learner.EffortDefault]) ||
		steps[learner.EffortThorough] <= steps[learner.EffortDefault] {
		t.Errorf("got %v steps", steps)
	}
	if _, err := p.Learn(context.Background(), "x", examples(20, 0), &LearnOptions{Effort: "lazy"}); !errors.Is(err,
		ErrConfig) {
		t.Errorf("got %v, want ErrConfig", err)
	}
	bare := func(id string) bool { // the lower block has no adapter
		snap, err := p.snapshot(id)
		if err != nil {
			t.Fatal(err)
		}
		affine, err := snap.affine()
		if err != nil {
			t.Fatal(err)
		}
		return snap.bank.Properties().OffBelow(affine, 1)
	}
	again := func(id string, e learner.Effort) int { // which goes on from what it has
		return mustLearn(t, p, id, examples(20, 0), &LearnOptions{Effort: e, Force: true, DropExamples: true}).Steps
	}
	fast, usual := "user"+string(learner.EffortFast), "user"+string(learner.EffortDefault)
	if !trainsAll(p) { // nobody has an adapter below, and fast takes fewer steps
		if n := again(usual, learner.EffortFast); n*2 > steps[learner.EffortDefault] || !bare(fast) || !bare(usual) {
			t.Errorf("got %d steps of %d, a bare lower block after fast: %t, after default: %t",
				n, steps[learner.EffortDefault], bare(fast), bare(usual))
		}
		t.Skip("fast trains half of the blocks where libtorch trains all: go test -tags torch")
	}
	if n := again(fast, learner.EffortFast); n != steps[learner.EffortFast] || !bare(fast) || bare(usual) {
		t.Errorf("got %d steps, a bare lower block after fast: %t, after default: %t", n, bare(fast), bare(usual))
	}
	if n := again(usual, learner.EffortFast); n*2 > steps[learner.EffortDefault] || bare(usual) {
		t.Errorf("fast over a whole adapter: got %d steps, the lower block bare: %t; want fewer steps of all blocks",
			n, bare(usual))
	}
}
