package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/store/internal/boltpages"

	"github.com/xpeft/xpeft/store/internal/format"
)

// TestRepairForgotten makes the bucket of records lead to a page that is free
// and still holds a deleted profile. Repair must not read it: the others are
// lost with their page, but nobody comes back.
func TestRepairForgotten(t *testing.T) {
	if testKey != nil {
		t.Skip("a deleted profile has no key to come back with")
	}
	path := filepath.Join(t.TempDir(), "xpeft.db")
	s, err := Create(path, testMeta, &Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBank(ctx, testBank); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"ann", "bob"} {
		p := randomProfile(newRand(t), id)
		p.OwnHead = bytes.Repeat([]byte(id), 500) // so that the bucket has a page of its own
		if _, err := s.Put(ctx, p, Write{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Delete(ctx, "ann"), s.Close()); err != nil {
		t.Fatal(err)
	}
	leadTo(t, path, freePageWith(t, path, bytes.Repeat([]byte("ann"), 500)))
	to := filepath.Join(t.TempDir(), "new.db")
	report, err := Repair(ctx, path, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Profiles != 0 || len(report.Lost) == 0 {
		t.Errorf("got %+v, want nobody, and bob among what is lost", report)
	}
	made, err := Open(to, fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, made) })
	if _, err := made.Get("ann"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted profile: got %v, want ErrNotFound", err)
	}
}

// freePageWith finds a free leaf page of records that holds some bytes.
func freePageWith(t *testing.T, path string, part []byte) uint64 {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := walked(t, path)
	for id, free := range w.Free {
		if !free {
			continue
		}
		b := file[id*w.Meta.PageSize:][:w.Meta.PageSize]
		// Both profiles: the page from before the deletion.
		if native.Uint16(b[8:]) == kindLeaf && native.Uint16(b[10:]) == 2 && bytes.Contains(b, part) {
			return uint64(id)
		}
	}
	t.Fatal("no free page holds the deleted profile: the test shows nothing")
	return 0
}

// leadTo makes the bucket of records have another root page.
func leadTo(t *testing.T, path string, page uint64) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := walked(t, path).Meta
	root := file[int(m.Root)*m.PageSize:][:m.PageSize]
	at := bytes.Index(root, format.Profiles)
	if at < 0 {
		t.Fatal("no bucket of records in the root page")
	}
	native.PutUint64(root[at+len(format.Profiles):], page)
	overwrite(t, path, file)
}

// walked is the walk over a file that is sound.
func walked(t *testing.T, path string) *boltpages.Walk {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := newWalk(func(wrong error) { t.Error(wrong) })
	if err := w.All(f); err != nil {
		t.Fatal(err)
	}
	return w
}
