package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestWindows: init makes a folder of windows, which says so, and a text is cut off only behind
// them.
func TestWindows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "folder")
	out := call(t, full, dir, "", "init", "--model", modelDir(t), "--labels", "urgent,later", "--bank-n", "4",
		"--max-tokens", "8", "--windows", "3").want(t, exitOK).out
	if !strings.Contains(out, "of at most 3 windows of 8 tokens\n") {
		t.Errorf("init: got %q, want its windows", out)
	}
	if row := call(t, full, dir, "", "stats", "--json").want(t, exitOK).rows(t)[0]; row["windows"] != 3.0 {
		t.Errorf("stats: got %v windows, want 3", row["windows"])
	}
	out = call(t, full, dir, "", "stats").want(t, exitOK).out
	if !strings.Contains(out, ", at most 3 windows of 8 tokens\n") {
		t.Errorf("stats: got %q, want its windows", out)
	}
	rows := call(t, full, dir, "", "predict", "--fallback", "base", "-p", "ann", "--json", strings.Repeat("now ", 15),
		strings.Repeat("now ", 30)).want(t, exitOK).rows(t)
	if rows[0]["truncated"] != nil || rows[1]["truncated"] != true {
		t.Errorf("got %v, want the second text cut off alone", rows)
	}
	call(t, full, filepath.Join(t.TempDir(), "none"), "", "init", "--model", modelDir(t), "--labels", "a,b", "--windows",
		"33").want(t, exitUsage)
}
