package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// secrets puts n profiles with an example each, whose text nothing else has.
func secrets(t *testing.T, s *Store, n int) {
	t.Helper()
	r := newRand(t)
	var ps []*Profile
	for i := range n {
		ps = append(ps, randomProfile(r, fmt.Sprintf("person%04d", i)))
	}
	if err := s.PutBatch(ctx, ps); err != nil {
		t.Fatal(err)
	}
	for i, p := range ps {
		text := fmt.Sprintf("secret%04d %s", i, strings.Repeat("x", 600))
		if err := s.AppendExamples(ctx, p.ID, []Example{{Text: text, Label: "l"}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCompact looks for what was deleted in the file's bytes, before and after.
func TestCompact(t *testing.T) {
	const profiles = 2000
	s := newStore(t, fast)
	secrets(t, s, profiles)
	for i := range profiles {
		if i%20 != 0 {
			if err := s.Delete(ctx, fmt.Sprintf("person%04d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want, revision := contents(t, s), must(s.Revision())
	if err := os.Chmod(s.Path(), 0o640); err != nil {
		t.Fatal(err)
	}
	if found := traces(t, s.Path()); found == 0 && testKey == nil {
		t.Fatal("got no trace of deleted profiles before, want some: this test shows nothing")
	}
	report, err := s.Compact(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if found := traces(t, s.Path()); found != 0 {
		t.Errorf("got %d traces of deleted profiles, want none", found)
	}
	info, err := os.Stat(s.Path())
	if err != nil || info.Size() != report.After || report.After*3 > report.Before*2 || report.Waiting {
		t.Errorf("got %d bytes, %v, report %+v, want fewer", info.Size(), err, report)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("got mode %v, want 0640", info.Mode())
	}
	st, err := s.Stats()
	if err != nil || st.FileBytes != report.After || st.FreeBytes > st.FileBytes/4 || st.Revision <= revision ||
		st.Profiles != profiles/20 {
		t.Errorf("got %+v, %v after revision %d", st, err, revision)
	}
	if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
	s = reopen(t, s, fast)
	if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
	checkCohorts(t, s)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// traces counts deleted profiles of which the file has the text or the id.
func traces(t *testing.T, path string) (n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		text, id := fmt.Sprintf("secret%04d", i), fmt.Sprintf("person%04d", i)
		if i%20 != 0 && (bytes.Contains(b, []byte(text)) || bytes.Contains(b, []byte(id))) {
			n++
		}
	}
	return n
}

// TestCompactFails makes every step fail in turn.
func TestCompactFails(t *testing.T) {
	broken := errors.New("broken")
	for _, step := range []string{"copy", "mode", "sync", "walk", "rename", "folder"} {
		t.Run(step, func(t *testing.T) {
			s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, with(Options{}))
			if err != nil {
				t.Fatal(err)
			}
			r, seen := newRand(t), false
			ref := must(s.PutBank(ctx, testBank))
			put := func(id string) error {
				p := maskedProfile(r, id)
				p.Bank = ref
				return second(s.Put(ctx, p, Write{}))
			}
			if err := errors.Join(put("ann"), put("bob"), s.Delete(ctx, "bob")); err != nil {
				t.Fatal(err)
			}
			want := contents(t, s)
			s.compacts = func(at string) error {
				if at == step {
					seen = true
					return broken
				}
				return nil
			}
			if _, err := s.Compact(ctx); !errors.Is(err, broken) || !seen {
				t.Fatalf("got %v, want the step's error", err)
			}
			s.compacts = nil
			if _, err := os.Stat(s.Path() + compactSuffix); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the new file: got %v, want none", err)
			}
			if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
				t.Error(diff)
			}
			named := step != "folder" // else a crash may bring the old file back, without what is written now
			if err := put("cid"); (err == nil) != named {
				t.Errorf("put: got %v, want one: %t", err, !named)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if s, err = Open(s.Path(), fast); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(put("dan"), second(s.Compact(ctx))); err != nil {
				t.Error(err)
			}
			checkAndClose(t, s)
		})
	}
}

// TestCompactDamaged says that a damaged file stays as it is.
func TestCompactDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xpeft.db")
	s, err := Create(path, testMeta, fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() }) // an error, if damage has kept bbolt from its locks
	must(s.PutBank(ctx, testBank))
	secrets(t, s, 50)
	r, refused := newRand(t), 0
	for range 60 {
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := 2*os.Getpagesize() + r.IntN(min(len(sound)/os.Getpagesize()-2, 20)*os.Getpagesize())
		damaged := bytes.Clone(sound)
		damaged[at] ^= 4
		overwrite(t, path, damaged)
		_, before := s.Check(ctx, false)
		_, err = s.Compact(ctx)
		if before != nil != errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: got %v, want as Check: %v", at, err, before)
		}
		if err == nil { // nothing that is read; and it is another file now
			continue
		}
		refused++
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
			t.Fatalf("byte %d: the file is not as it was: %v", at, err)
		}
		if s.stuck.Load() != nil {
			break
		}
		overwrite(t, path, sound)
	}
	if refused == 0 {
		t.Error("got no flip refused, want some: this test shows nothing")
	}
}

// overwrite changes a file that is open elsewhere.
func overwrite(t *testing.T, path string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt(b, 0)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCompactStale says that what a killed Compact has left goes at the next
// Open, and is not in the way of another.
func TestCompactStale(t *testing.T) {
	s := newStore(t, fast)
	stale := s.Path() + compactSuffix
	leave := func() {
		if err := os.WriteFile(stale, []byte("text of somebody"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leave()
	if _, err := s.Compact(ctx); err != nil {
		t.Error(err)
	}
	leave()
	s = reopen(t, s, with(Options{ReadOnly: true}))
	if _, err := os.Stat(stale); err != nil {
		t.Errorf("read-only: got %v, want it to be left", err)
	}
	reopen(t, s, fast)
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want it to be gone", err)
	}
}
