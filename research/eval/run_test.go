//go:build cgo

package eval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/golden"
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

// fewPeople call fruit and metal by labels of their own habit: half of them always say the other word.
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
		case "prior", "knn", "x_peft", "nearest":
			mode.Settings = mode.Settings[:1] // nothing to choose: fast
			if mode.Name == "prior" {
				mode.Settings = plainModes()[2].Settings[:2]
			}
			modes = append(modes, mode)
		}
	}
	if len(modes) != 4 {
		t.Fatalf("got %d modes", len(modes))
	}
	var log []string
	dir := t.TempDir()
	e := &Evaluation{Data: fewPeople(), Machine: m, Out: dir, Modes: modes[:2], Splits: 1, Seeds: 1, Most: 60, New: 2, Log: func(s string) { log = append(log, s) }}
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
	if err != nil || len(runs) != 4 {
		t.Fatalf("got %d runs (%v)", len(runs), err)
	}
	for _, r := range runs {
		if len(r.Profiles) != 2 || r.Profiles[0].Test != 3 || r.Profiles[0].Train != 7 {
			t.Errorf("%s: got %+v", r.Mode, r.Profiles)
		}
		if r.Mode == "prior" && len(r.Tried) != 2 {
			t.Errorf("prior tried %v", r.Tried)
		}
		if r.Mode == "x_peft" && (r.Profiles[0].Mask == nil || r.Profiles[0].Bytes > 320) {
			t.Errorf("x_peft: got %d bytes, mask %v", r.Profiles[0].Bytes, r.Profiles[0].Mask)
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
