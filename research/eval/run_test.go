package eval

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
	"github.com/xpeft/xpeft/learner"
)

func TestClaim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "item.lock")
	release, ok, err := claim(path)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, again, err := claim(path); again || err != nil {
		t.Errorf("claimed twice (%v)", err)
	}
	release()
	write(t, path, "999999999") // no such process
	release, ok, err = claim(path)
	if err != nil || !ok {
		t.Errorf("the claim of a dead process was not taken over: %v", err)
	}
	release()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a released claim is still there: %v", err)
	}
}

func TestEach(t *testing.T) {
	done := make([]bool, 50)
	if err := each(len(done), 4, func(i int) error { done[i] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for i, d := range done {
		if !d {
			t.Errorf("%d was left out", i)
		}
	}
	bad := errors.New("bad")
	if err := each(50, 4, func(i int) error {
		if i == 7 {
			return bad
		}
		return nil
	}); err != bad {
		t.Errorf("got %v", err)
	}
}

// fewPeople call fruit and metal by labels of their own habit: half of them always say the other
// word.
func fewPeople() *Data {
	d := &Data{Labels: []string{"no", "yes"}, Digest: "0123456789abcdef"}
	things := []string{"apple", "iron", "cherry", "copper", "plum", "lead", "pear", "tin", "peach", "zinc"}
	for i := range 9 {
		p := Person{ID: fmt.Sprint("person", i)}
		for j, thing := range things {
			p.Examples = append(p.Examples, Example{Text: "a piece of " + thing, Label: d.Labels[(i+j)%2]})
		}
		d.People = append(d.People, p)
	}
	return d
}

// TestEvaluation runs a few modes end to end over the real model, stops, goes on, and reports.
func TestEvaluation(t *testing.T) {
	m, err := OpenMachine(golden.Model(t), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var modes []Mode
	for _, mode := range Modes() {
		switch mode.Name {
		case "base", "prior", "knn", "x_peft", "masks", "nearest":
			mode.Settings = mode.Settings[:1] // nothing to choose: fast
			if mode.Name == "prior" {
				mode.Settings = plainModes()[1].Settings[:2]
			}
			modes = append(modes, mode)
		}
	}
	if len(modes) != 6 {
		t.Fatalf("got %d modes", len(modes))
	}
	var log []string
	dir := t.TempDir()
	e := &Evaluation{Data: fewPeople(), Machine: m, Out: dir, Modes: modes[2:4], Splits: 1, Seeds: 1, Most: 60,
		New: 2, Log: func(s string) { log = append(log, s) }}
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	e.Modes = modes
	had := len(log)
	if err := e.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	e.Close()
	if again := strings.Join(log[had:], "\n"); strings.Contains(again, "prior") || !strings.Contains(again, "x_peft") {
		t.Errorf("the second run did %q, want what was missing only", again)
	}
	runs, err := ReadRuns(dir)
	if err != nil || len(runs) != 6 {
		t.Fatalf("got %d runs (%v)", len(runs), err)
	}
	for _, r := range runs {
		if len(r.Profiles) != 2 || r.Profiles[0].Test != 3 || r.Profiles[0].Train != 7 {
			t.Errorf("%s: got %+v", r.Mode, r.Profiles)
		}
		if r.Mode == "prior" && len(r.Tried) != 2 {
			t.Errorf("prior tried %v", r.Tried)
		}
		if (r.Mode == "x_peft" || r.Mode == "masks") && (r.Profiles[0].Mask == nil || r.Profiles[0].Bytes > 320) {
			t.Errorf("%s: got %d bytes, mask %v", r.Mode, r.Profiles[0].Bytes, r.Profiles[0].Mask)
		}
	}
	if _, err := Report(runs, "x_peft"); err != nil {
		t.Error(err)
	}
	e.Data.Digest = "other"
	if err := e.Run(context.Background()); !errors.Is(err, ErrData) {
		t.Errorf("a folder of other data: got %v", err)
	}
}

// TestServices: the SDK's modes serve everyone alike whenever they are asked, their base is what
// the head of the other modes says, and no folder is left behind.
func TestServices(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	m, err := OpenMachine(golden.Model(t), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, d := context.Background(), fewPeople()
	w, err := NewWorld(ctx, m, d, []int{0, 1, 2, 3, 4, 5}, []int{6, 7, 8}, 0, 60)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	serve := func(mode Mode) []served {
		t.Helper()
		all, err := mode.serveAll(ctx, w, w.New, mode.Settings[0])
		if err != nil {
			t.Fatalf("%s: %v", mode.Name, err)
		}
		return all
	}
	for _, mode := range sdkModes() {
		if warm := mode.Settings[0].Service.Warm; warm != nil {
			warm.Edit = func(c *learner.BankConfig) { c.N, c.K, c.Blocks, c.Updates = 8, 2, 1, 2 }
		}
		all := serve(mode)
		for i, p := range w.New {
			learns := mode.Settings[0].Service.Learn != nil
			masks := all[i].mask != nil // else the label prior serves, which only an own head has not
			if len(all[i].predicted) != len(p.Test) || slices.Min(all[i].predicted) < 0 || masks && !learns ||
				!masks && mode.Name == "x_peft_own_head" || (all[i].bytes > 0) != learns {
				t.Errorf("%s, %s: got %+v", mode.Name, p.ID, all[i])
			}
			if mode.Name != "base" {
				continue
			}
			_, x, err := p.embed(ctx, w)
			if want := predict(w.Head, nil, x); err != nil || !slices.Equal(all[i].predicted, want) {
				t.Errorf("base of %s: got %v of the SDK, %v (%v) of the head", p.ID, all[i].predicted, want, err)
			}
		}
		if mode.Name == "x_peft" {
			for i, again := range serve(mode) {
				if !bytes.Equal(again.mask.Bytes(), all[i].mask.Bytes()) ||
					!slices.Equal(again.predicted, all[i].predicted) {
					t.Errorf("%s: got another profile the second time", w.New[i].ID)
				}
			}
		}
	}
	w.Close()
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "xpeft-eval-*")); err != nil || len(left) > 0 {
		t.Errorf("got the folders %v left behind (%v)", left, err)
	}
}
