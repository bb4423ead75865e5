package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/eval"
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
				r.Profiles = append(r.Profiles, eval.Profile{ID: fmt.Sprint(i), Majority: fmt.Sprint("label", i%2), Metrics: map[string]float64{"accuracy": 0.5 + 0.1*float64(i)},
					Mask: &eval.Mask{N: 8, K: 2, Blocks: 1, Rows: m.Bytes()}})
			}
			data, err := json.Marshal(r)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(mode, shots, ".json")), data, 0o666))
		}
	}
	for i, one := range []bool{false, true} {
		for _, soft := range []bool{false, true} {
			r := eval.Run{Format: 1, Task: "CoLA", Mode: fmt.Sprint("masks", one, soft), N: 100, K: 50, Soft: soft, OneMask: one, Profiles: []eval.Profile{{Metrics: map[string]float64{"mcc": 0.4 + 0.1*float64(i)}}}}
			data, err := json.Marshal(r)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("task", one, soft, ".json")), data, 0o666))
		}
	}
	return dir
}

func TestPlot(t *testing.T) {
	dir, out := runFiles(t), t.TempDir()
	for kind := range plotKinds {
		var stdout, stderr strings.Builder
		if code := run(t.Context(), []string{"plot", kind, dir, "-o", filepath.Join(out, kind)}, nil, &stdout, &stderr); code != exitOK {
			t.Errorf("%s: exit code %d: %s", kind, code, stderr.String())
		}
		for _, ext := range []string{".png", ".svg"} {
			if info, err := os.Stat(filepath.Join(out, kind+ext)); err != nil || info.Size() < 1000 {
				t.Errorf("%s%s: %v", kind, ext, err)
			}
		}
	}
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"plot", "pie", dir, "-o", out + "/x.png"}, nil, &stdout, &stderr); code != exitUsage {
		t.Errorf("a pie: exit code %d", code)
	}
	if code := run(t.Context(), []string{"plot", "bars", out, "-o", out + "/x.png"}, nil, &stdout, &stderr); code == exitOK {
		t.Error("no runs, but a picture")
	}
}

func TestEvalReport(t *testing.T) {
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"eval", "report", runFiles(t)}, nil, &stdout, &stderr); code != exitOK || strings.Count(stdout.String(), "\n") != 14 {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
	if code := run(t.Context(), []string{"eval", "report", runFiles(t), "--reference", "nobody"}, nil, &stdout, &stderr); code == exitOK {
		t.Error("a reference that did not run was taken")
	}
}
