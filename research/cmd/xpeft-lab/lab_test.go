package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/research/eval"
)

// runFiles are small runs of two modes, with masks and a learning curve.
func runFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, mode := range []string{"x_peft", "prior"} {
		for _, shots := range []int{0, 1, 4} {
			r := eval.Run{Format: 1, Task: "profiles", Mode: mode, Shots: shots}
			for i := range 4 {
				m, err := bitmask.New(8, 2, 1)
				must(t, err)
				for _, side := range []bitmask.Side{bitmask.Down, bitmask.Up} {
					m.Row(side, 0).Set(i)
					m.Row(side, 0).Set(7 - i)
				}
				r.Profiles = append(r.Profiles,
					eval.Profile{ID: fmt.Sprint(i), Majority: fmt.Sprint("label", i%2),
						Metrics: map[string]float64{"accuracy": 0.5 + 0.1*float64(i)},
						Mask:    &eval.Mask{N: 8, K: 2, Blocks: 1, Rows: m.Bytes()}})
			}
			data, err := json.Marshal(r)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(mode, shots, ".json")), data, 0o666))
		}
	}
	for i, one := range []bool{false, true} {
		for _, soft := range []bool{false, true} {
			r := eval.Run{Format: 1, Task: "CoLA", Mode: fmt.Sprint("masks", one, soft), N: 100, K: 50, Soft: soft,
				OneMask: one, Profiles: []eval.Profile{{Metrics: map[string]float64{"mcc": 0.4 + 0.1*float64(i)}}}}
			data, err := json.Marshal(r)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("task", one, soft, ".json")), data, 0o666))
		}
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// samplesFile is a CSV file as the load test of examples/chatbot writes it.
func samplesFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "memory.csv")
	must(t, os.WriteFile(path, []byte(
		"Minutes,Requests,Anonymous,Files,GoHeld,MallocUsed,MallocHeld,Note,Cached\n0.00,0,200.50,80,40,60,90,,1\n0.10,700,260,80,45,70,95,,64\n"), 0o666))
	return path
}

// peopleFile is what eval people --json prints; placesFile what --places writes.
func peopleFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.json")
	must(t, os.WriteFile(path, []byte(
		"{\"split\":0,\"rank\":1}\n{\"shots\":1,\"mode\":\"code\",\"accuracy\":0.5}\n{\"shots\":4,\"mode\":\"code\",\"accuracy\":0.7}\n{\"shots\":0,\"mode\":\"prior\",\"accuracy\":0.6}\n"), 0o666))
	return path
}

func placesFile(t *testing.T) string {
	t.Helper()
	p := eval.Places{Labels: []string{"no", "yes"}, Digits: []int{8}}
	for i := range 9 {
		p.People = append(p.People, eval.Place{ID: fmt.Sprint("person ", i), Level: []int{28 * i},
			Z: []float64{float64(i - 4)}, Bias: []float64{0, 0.1}})
	}
	for i := range 4 {
		text := eval.PlacedText{Text: strings.Repeat("long ", 30), Row: []float64{0, 0, float64(i), -float64(i)}}
		for who := range 9 {
			text.Who, text.Class = append(text.Who, who), append(text.Class, who/5)
		}
		p.Texts = append(p.Texts, text)
	}
	data, err := json.Marshal(p)
	must(t, err)
	path := filepath.Join(t.TempDir(), "places.json")
	must(t, os.WriteFile(path, data, 0o666))
	return path
}

func TestPlot(t *testing.T) {
	runs, out := runFiles(t), t.TempDir()
	for kind := range plotKinds {
		dir := runs
		switch kind {
		case "memory":
			dir = samplesFile(t)
		case "people":
			dir = peopleFile(t)
		case "places", "bits", "answers":
			dir = placesFile(t)
		}
		var stdout, stderr strings.Builder
		if code := run(t.Context(), []string{"plot", kind, dir, "-o", filepath.Join(out, kind)}, &stdout,
			&stderr); code != exitOK {
			t.Errorf("%s: exit code %d: %s", kind, code, stderr.String())
		}
		for _, ext := range []string{".png", ".svg"} {
			if info, err := os.Stat(filepath.Join(out, kind+ext)); err != nil || info.Size() < 1000 {
				t.Errorf("%s%s: %v", kind, ext, err)
			}
		}
	}
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"plot", "pie", runs, "-o", out + "/x.png"}, &stdout,
		&stderr); code != exitUsage {
		t.Errorf("a pie: exit code %d", code)
	}
	if code := run(t.Context(), []string{"plot", "bars", out, "-o", out + "/x.png"}, &stdout, &stderr); code == exitOK {
		t.Error("no runs, but a picture")
	}
}

func TestEvalReport(t *testing.T) {
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"eval", "report", runFiles(t)}, &stdout, &stderr); code != exitOK ||
		strings.Count(stdout.String(), "\n") != 14 {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
	if code := run(t.Context(), []string{"eval", "report", runFiles(t), "--reference", "nobody"}, &stdout,
		&stderr); code == exitOK {
		t.Error("a reference that did not run was taken")
	}
}

// TestReadSamples: the columns that are drawn are found by their names; a file without them is no
// picture.
func TestReadSamples(t *testing.T) {
	got, err := readSamples(samplesFile(t))
	must(t, err)
	want := sample{"Minutes": 0.1, "Requests": 700, "Anonymous": 260, "Files": 80, "GoHeld": 45, "MallocUsed": 70,
		"MallocHeld": 95, "Cached": 64}
	if len(got) != 2 || !maps.Equal(got[1], want) {
		t.Errorf("got %v, want two samples, the second %v", got, want)
	}
	for _, text := range []string{"", "Minutes,Requests\n", "Minutes,Requests\n1,2\n",
		"Minutes,Requests,Anonymous,Files,GoHeld,MallocUsed,MallocHeld,Cached\n1,2,3,4,five,6,7,8\n"} {
		path := filepath.Join(t.TempDir(), "memory.csv")
		must(t, os.WriteFile(path, []byte(text), 0o666))
		if got, err := readSamples(path); !errors.Is(err, eval.ErrData) {
			t.Errorf("%q: got %v, %v, want ErrData", text, got, err)
		}
	}
}

// TestExitCodes: scripts tell a mistake in the command line from a failure.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		args string
		want int
	}{
		{"", exitOK}, {"eval --help", exitOK}, {"nothing", exitUsage}, {"eval", exitUsage},
		{"plot bars x", exitUsage}, {"eval x --model y --splits three", exitUsage},
		{"plot memory a.csv b.csv -o x.png", exitUsage}, {"eval report " + t.TempDir(), exitError},
		{"plot memory missing.csv -o x.png", exitError},
	} {
		var stdout, stderr strings.Builder
		if got := run(t.Context(), strings.Fields(c.args), &stdout, &stderr); got != c.want ||
			(got == exitOK) != (stderr.Len() == 0) {
			t.Errorf("xpeft-lab %s: got exit code %d and %q, want %d", c.args, got, stderr.String(), c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := run(ctx, []string{"eval", "report", t.TempDir()}, io.Discard, io.Discard); got != exitInterrupted {
		t.Errorf("after a signal: got exit code %d, want %d", got, exitInterrupted)
	}
}

// TestREADME: the flags of each command and the fields of its JSON stand in its section of
// research/README.md.
func TestREADME(t *testing.T) {
	data, err := os.ReadFile("../../README.md")
	must(t, err)
	sections := map[string]string{}
	for _, part := range strings.Split(string(data), "\n## ") {
		heading, body, _ := strings.Cut(part, "\n")
		sections[heading] = body
	}
	check := func(section, usages string) {
		for _, usage := range strings.Split(usages, "\n") {
			if !strings.Contains(usage, "--help") && !strings.Contains(section, usage) {
				t.Errorf("research/README.md has no flag %s", usage)
			}
		}
	}
	root := (&app{}).root()
	check(sections["# Research"], root.PersistentFlags().FlagUsages())
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Runnable() && cmd != root {
			check(sections[cmd.CommandPath()], cmd.LocalNonPersistentFlags().FlagUsages())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	for heading, row := range map[string]any{"xpeft-lab eval report": eval.Row{},
		"xpeft-lab eval alone": eval.AloneRow{}, "xpeft-lab eval people": eval.PeopleRow{},
		"xpeft-lab eval tasks": eval.TaskCell{}, "xpeft-lab eval windows": eval.WindowsRow{}, "xpeft-lab plot": drawn{}} {
		for i := range reflect.TypeOf(row).NumField() {
			name, _, _ := strings.Cut(reflect.TypeOf(row).Field(i).Tag.Get("json"), ",")
			if !strings.Contains(sections[heading], "\n| `"+name+"` | ") {
				t.Errorf("research/README.md, %s: no field %q", heading, name)
			}
		}
	}
}

func TestJaccard(t *testing.T) {
	if got := jaccard([]byte{0b0011, 0b0011}, []byte{0b0110, 0b0011}); math.Abs(got-0.4) > 1e-15 {
		t.Errorf("got %g, want 0.4", got)
	}
	if got := jaccard([]byte{5}, []byte{5}); got != 0 {
		t.Errorf("got %g of equal masks, want 0", got)
	}
}
