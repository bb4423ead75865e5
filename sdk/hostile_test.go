package sdk

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWeightsNotFinite: a model with one NaN, in its last tensor, makes no store, and opens none;
// the error names the tensor.
func TestWeightsNotFinite(t *testing.T) {
	bad := copyModel(t, "model.safetensors", func(b []byte) []byte {
		copy(b[len(b)-4:], []byte{0, 0, 0xc0, 0x7f})
		return b
	})
	c := small(t)
	c.Model = bad
	dir := filepath.Join(t.TempDir(), "store")
	check := func(what string, err error) {
		t.Helper()
		if wantError(t, what, err, ErrCheckpoint); err != nil && !strings.Contains(err.Error(), "is not finite") {
			t.Errorf("%s: got %v, want it to name a value that is not finite", what, err)
		}
	}
	_, err := Create(context.Background(), dir, c)
	check("Create", err)
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want no folder", err)
	}
	p := create(t, small(t))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), p.dir, &Options{Model: bad, Threads: 1})
	check("Open", err)
	wantError(t, "Open", err, ErrMismatch)
}

// TestHostileIDs: what is no id is ErrID for every call that takes one, and nothing is stored; what
// looks like a path is an id as any other, and makes no file.
func TestHostileIDs(t *testing.T) {
	ctx := t.Context()
	p := create(t, small(t))
	for _, id := range []string{"", "\xff\xfe", strings.Repeat("x", 1<<20)} {
		calls := map[string]error{"Observe": p.Observe(ctx, id, examples(1, 0)[0]), "Forget": p.Forget(ctx, id)}
		_, calls["Learn"] = p.Learn(ctx, id, examples(6, 0), quick())
		_, calls["Predict"] = p.Predict(ctx, id, "x", nil)
		_, calls["History"] = p.History(ctx, id)
		_, calls["Rebase"] = p.Rebase(ctx, id)
		_, calls["Rollback"] = p.Rollback(ctx, id, &RollbackOptions{Revision: 1})
		for call, err := range calls {
			wantError(t, call, err, ErrID)
		}
	}
	before, err := os.ReadDir(filepath.Dir(p.dir))
	if err != nil {
		t.Fatal(err)
	}
	odd := []string{"../../x", "/etc/passwd", "a\x00b", "\x1b[2J", "\u202e\u2066", strings.Repeat("..", 128)}
	for _, id := range odd {
		mustLearn(t, p, id, examples(6, 0), quick())
	}
	var bundle bytes.Buffer
	if n, err := p.Export(ctx, &bundle, nil); err != nil || n != len(odd) {
		t.Fatalf("got %d profiles, %v, want %d", n, err, len(odd))
	}
	q := create(t, small(t))
	if _, err := q.Import(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	for _, id := range odd {
		if out := mustPredict(t, q, id, "server down"); out.Profile != id {
			t.Errorf("got an answer of %q, want of %q", out.Profile, id)
		}
		if err := q.Forget(ctx, id); err != nil {
			t.Error(err)
		}
	}
	after, err := os.ReadDir(filepath.Dir(p.dir))
	if err != nil || len(after) != len(before) {
		t.Errorf("got %d entries beside the folder, %v, want %d", len(after), err, len(before))
	}
}
