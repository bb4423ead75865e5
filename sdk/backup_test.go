package sdk

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
)

// TestCompactAfterForget looks for the texts of who was forgotten in the file's bytes, and has the
// others answer as before.
func TestCompactAfterForget(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	told := examples(12, 0)
	for i := range told {
		told[i].Text += " by mallory"
	}
	mustLearn(t, p, "mallory", told, forced())
	mustLearn(t, p, "alice", examples(12, 1), forced())
	want := mustPredict(t, p, "alice", "server down")
	if err := p.Forget(ctx, "mallory"); err != nil {
		t.Fatal(err)
	}
	traces := func() (n int) {
		b, err := os.ReadFile(folder.DB(p.dir))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(b, []byte("mallory"))
	}
	if traces() == 0 {
		t.Fatal("got no trace after Forget, want some: this test shows nothing")
	}
	rep, err := p.Compact(ctx)
	if n := traces(); err != nil || rep.Waiting || n != 0 {
		t.Errorf("got %d traces after Compact, %+v, %v, want none", n, rep, err)
	}
	if d := cmp.Diff(want, mustPredict(t, p, "alice", "server down")); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	mustLearn(t, p, "mallory", examples(12, 2), forced())
}

// TestRestoredAnswers: a folder that is made of a full backup and one since it answers as the one
// that was backed up.
func TestRestoredAnswers(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(12, 0), forced())
	var full, since bytes.Buffer
	rep, err := p.Backup(ctx, &full, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustLearn(t, p, "alice", examples(12, 1), forced())
	mustLearn(t, p, "bob", examples(12, 2), forced())
	later, err := p.Backup(ctx, &since, &BackupOptions{Since: rep.Revision})
	if err != nil || later.Since != rep.Revision {
		t.Fatalf("got %+v, %v", later, err)
	}
	_, err = p.Backup(ctx, new(bytes.Buffer), &BackupOptions{Since: later.Revision + 9})
	wantError(t, "unknown revision", err, ErrNoBase)
	_, err = Verify(ctx, nil, bytes.NewReader(since.Bytes()))
	wantError(t, "without the full one", err, ErrMismatch)

	dir := filepath.Join(t.TempDir(), "new")
	if _, err := Restore(ctx, dir, nil, &full, &since); err != nil {
		t.Fatal(err)
	}
	q := open(t, dir, &Options{Threads: 1})
	for _, id := range []string{"alice", "bob"} {
		if d := cmp.Diff(mustPredict(t, p, id, "server down"), mustPredict(t, q, id, "server down")); d != "" {
			t.Errorf("%s (-want +got):\n%s", id, d)
		}
	}
	if rep, err := q.Check(ctx, &CheckOptions{Deep: true}); err != nil {
		t.Errorf("%v %v", err, rep.Problems)
	}
}
