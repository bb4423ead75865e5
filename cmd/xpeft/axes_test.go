package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
)

// TestAxes: axes are listed, exported by their digest, imported, and checked.
func TestAxes(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice")
	st, err := folder.Open(dir, nil)
	must(t, err)
	a := &axes.Axes{Features: model.Features{Taps: []int{1, 2}, Hidden: 32, Mean: make([]float32, 64),
		Scale: []float32{1, 1}}, Digits: 2, V: make([]float32, 3*64)}
	for j := range 3 {
		a.V[j*64+j] = 1
	}
	info, err := folder.AddAxes(t.Context(), st, dir, a)
	must(t, err)
	must(t, st.Close())
	digest := info.Digest.String()

	rows := call(t, pure, dir, "", "bank", "list", "--json").want(t, exitOK).rows(t)
	if len(rows) != 2 {
		t.Fatalf("bank list: got %v, want two", rows)
	}
	for i, want := range []map[string]any{
		{"origin": "random", "digits": 0.0, "taps": []any{}},
		{"origin": "axes", "bank": digest, "n": 12.0, "hidden": 32.0, "digits": 2.0, "taps": []any{1.0, 2.0},
			"dtype": "F16", "bytes": 4.0*66 + 2*3*64},
	} {
		for field, v := range want {
			if !cmp.Equal(rows[i][field], v) {
				t.Errorf("bank list, %v: got %s %v, want %v", want["origin"], field, rows[i][field], v)
			}
		}
	}
	shape := "3 axes of 2 digits, over 32 values after each of the blocks 1 2"
	if r := call(t, pure, dir, "", "bank", "list").want(t, exitOK); !strings.Contains(r.out, shape) {
		t.Errorf("bank list: got %q, want %q", r.out, shape)
	}
	file, to := filepath.Join(t.TempDir(), "axes"), newFolder(t)
	call(t, pure, dir, "", "bank", "export", "-o", file).want(t, exitNotFound) // no warm bank
	call(t, pure, dir, "", "bank", "export", digest[:8], "-o", file).want(t, exitOK)
	if row := call(t, pure, to, "", "bank", "import", file, "--json").want(t,
		exitOK).rows(t)[0]; row["bank"] != digest || row["origin"] != "axes" {
		t.Errorf("bank import: got %v, want %s", row, digest)
	}
	call(t, pure, to, "", "check", "--deep").want(t, exitOK)
	damage(t, filepath.Join(to, "banks", digest), -1)
	call(t, pure, to, "", "check").want(t, exitCorrupt)
	call(t, pure, to, "", "bank", "export", digest, "-o", file).want(t, exitCorrupt)
	must(t, os.Remove(filepath.Join(to, "banks", digest)))
	call(t, pure, to, "", "check").want(t, exitCorrupt)
}
