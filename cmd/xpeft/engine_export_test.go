package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/safetensors"
	"github.com/xpeft/xpeft/sdk"
)

// TestExportSafetensors: a file for each profile, and what reads them.
func TestExportSafetensors(t *testing.T) {
	dir, out := learnedFolder(t), filepath.Join(t.TempDir(), "python")
	rep := call(t, full, dir, "", "export", "--format", "safetensors", "-o", out, "--json").want(t, exitOK).rows(t)[0]
	if rep["file"] != out || rep["profiles"] != 2.0 {
		t.Errorf("got %v, want 2 profiles in %s", rep, out)
	}
	files, err := os.ReadDir(out)
	must(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if diff := cmp.Diff([]string{"alice.safetensors", "carol.safetensors", "xpeft_reader.py"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	f, err := safetensors.Open(filepath.Join(out, "alice.safetensors"))
	must(t, err)
	defer f.Close()
	about := f.Metadata()["xpeft"]
	if !strings.Contains(about, `"profile":"alice","revision":1,"labels":["urgent","later"]`) {
		t.Errorf("got the metadata %s, want alice's", about)
	}
	reader, err := os.ReadFile(filepath.Join(out, "xpeft_reader.py"))
	must(t, err)
	if string(reader) != string(sdk.PythonReader()) {
		t.Error("xpeft_reader.py is not the sdk's")
	}

	r := call(t, full, dir, "", "export", "nobody", "carol", "--format", "safetensors", "-o", out, "--json")
	rows := r.rows(t)
	if r.code != exitNotFound || len(rows) != 2 || rows[0]["code"] != "not_found" || rows[1]["profiles"] != 1.0 {
		t.Errorf("got exit code %d and %v, want nobody not found, and carol exported", r.code, rows)
	}
	call(t, full, dir, "", "export", "alice", "--format", "adapters", "-o", out).want(t, exitError) // of digits
	for _, args := range []string{"--format onnx -o " + out, "--format safetensors",
		"--examples --format safetensors -o " + out, "--to x --format safetensors -o " + out} {
		call(t, full, dir, "", append([]string{"export"}, strings.Fields(args)...)...).want(t, exitUsage)
	}
}

// TestFileNames: each profile has one of its own, on every file system.
func TestFileNames(t *testing.T) {
	taken := fileNames{}
	var got []string
	for _, id := range []string{"alice", "Alice", "a/b", `a\b:c`, "..", "émile", strings.Repeat("x", 300)} {
		got = append(got, taken.of(id))
	}
	want := []string{"alice", "Alice-", "a%2Fb", "a%5Cb%3Ac", "-", "%C3%A9mile", strings.Repeat("x", 60) + "-"}
	for i, w := range want {
		if len(got[i]) > 200 || got[i] != w && (!strings.HasSuffix(w, "-") || !strings.HasPrefix(got[i], w)) {
			t.Errorf("got %q, want %q", got[i], w)
		}
	}
	if n := len(slices.Collect(maps.Keys(taken))); n != len(want) {
		t.Errorf("got %d names, want %d", n, len(want))
	}
}
