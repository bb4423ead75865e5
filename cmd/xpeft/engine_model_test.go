package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestModelCheck: what the real weights are, to scripts and in words, and a folder of another
// architecture, which is refused by file and field.
func TestModelCheck(t *testing.T) {
	dir := modelDir(t)
	row := call(t, full, "", "", "model", "check", "--json", dir).want(t, exitOK).rows(t)[0]
	for name, want := range map[string]any{"model_type": "bert", "blocks": 6., "hidden": 384., "pooling": "mean",
		"vocabulary": 30522., "max_tokens": 256., "positions": 512., "pairs": true, "axes": "come with the program"} {
		if row[name] != want {
			t.Errorf("%s: got %v, want %v", name, row[name], want)
		}
	}
	if ms, rate := row["ms"].(float64), row["texts_per_second"].(float64); ms <= 0 || rate <= 0 {
		t.Errorf("got %g ms and %g texts a second, want times", ms, rate)
	}
	if out := call(t, full, "", "", "model", "check", dir).want(t, exitOK).out; !strings.Contains(out, "of 6 blocks") {
		t.Errorf("got %q", out)
	}

	other := t.TempDir()
	must(t, os.CopyFS(other, os.DirFS(dir)))
	config := filepath.Join(other, "config.json")
	data, err := os.ReadFile(config)
	must(t, err)
	text := strings.Replace(string(data), `"model_type": "bert"`, `"model_type": "t5"`, 1)
	must(t, os.WriteFile(config, []byte(text), 0o600))
	if r := call(t, full, "", "", "model", "check", other).want(t, exitError); !strings.Contains(r.err,
		`config.json: model_type "t5"`) {
		t.Errorf("got %q, want the file and the field", r.err)
	}
}
