package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if err != nil || st.FileBytes != report.After || st.FreeBytes > st.FileBytes/4 || st.Revision <= revision || st.Profiles != profiles/20 {
		t.Errorf("got %+v, %v after revision %d", st, err, revision)
	}
	if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
	s = reopen(t, s, fast)
	if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
	checkQueries(t, s, 1, 3)
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
				p := randomProfile(r, id)
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
			_ = s.Close() // an error if the index is behind
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
	s := newStore(t, fast)
	secrets(t, s, 50)
	if err := s.FlushIndex(ctx); err != nil {
		t.Fatal(err)
	}
	path := s.Path()
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 5 * os.Getpagesize(); at < len(sound); at += 997 {
		damaged := bytes.Clone(sound)
		damaged[at] ^= 4
		if err := os.WriteFile(path, damaged, 0o600); err != nil { // under the open file
			t.Fatal(err)
		}
		_, before := s.Check(ctx, false)
		_, err := s.Compact(ctx)
		if before != nil != errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: got %v, want as Check: %v", at, err, before)
		}
		if err == nil { // nothing that is read; and it is another file now
			break
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, damaged) {
			t.Fatalf("byte %d: the file is not as it was: %v", at, err)
		}
	}
	if err := os.WriteFile(path, sound, 0o600); err != nil {
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

// TestCompactWaits has a reader that began before: it goes on with the old
// file, and Compact waits for it, but not longer than its context.
func TestCompactWaits(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 20)
	want := contents(t, s)
	began, end := make(chan struct{}), make(chan struct{})
	read := make(chan error)
	go func() {
		read <- s.view(func(t *txn) error {
			close(began)
			<-end
			for id := range want {
				if _, err := t.profile([]byte(id)); err != nil {
					return err
				}
			}
			return nil
		})
	}()
	<-began
	soon, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	report, err := s.Compact(soon)
	if err != nil || !report.Waiting {
		t.Errorf("got %+v, %v, want it to wait for the reader", report, err)
	}
	if testKey == nil { // else the reader that is there would look again
		for id := range want {
			if err := s.Delete(ctx, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(end)
	if err := <-read; err != nil {
		t.Errorf("the reader of the old file: %v", err)
	}
	if report, err := s.Compact(ctx); err != nil || report.Waiting {
		t.Errorf("got %+v, %v, want it not to wait", report, err)
	}
}

// TestWaitingWriterGivesUp says that a call whose context ends does not wait
// for a long transaction, or a Compact, of another's.
func TestWaitingWriterGivesUp(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	s.writer.Lock()
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, err := s.Put(soon, randomProfile(r, "ann"), Write{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	s.writer.Unlock()
	if _, err := s.Put(ctx, randomProfile(r, "bob"), Write{}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, s); len(got) != 1 {
		t.Errorf("got %d profiles, want bob alone", len(got))
	}
}

// TestCompactBeforeAnother has another process wait for the file's lock while
// this one puts another file in its place.
func TestCompactBeforeAnother(t *testing.T) {
	for i := range 3 {
		s := newStore(t, fast)
		r := newRand(t)
		c := child(t, childWait, s.Path())
		out, err := c.StdoutPipe()
		if err := errors.Join(err, c.Start()); err != nil {
			t.Fatal(err)
		}
		line := make([]byte, 8)
		if _, err := out.Read(line); err != nil { // it opens the file now
			t.Fatal(err)
		}
		time.Sleep(120 * time.Millisecond)
		for range i + 1 {
			if _, err := s.Compact(ctx); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(150 * time.Millisecond) // it has the old file's lock for the asking
		if _, err := s.Put(ctx, randomProfile(r, "after"), Write{}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		said := new(bytes.Buffer)
		_, err = said.ReadFrom(out)
		if err := errors.Join(err, c.Wait()); err != nil || !strings.Contains(said.String(), "done <nil>") {
			t.Fatalf("got %q, %v, want the other process to see what is in the file", said, err)
		}
		if s, err = Open(s.Path(), fast); err != nil {
			t.Fatal(err)
		}
		if got := contents(t, s); len(got) != 2 {
			t.Errorf("got %d profiles, want mine and the other's", len(got))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// putWhenFree is the other process.
func putWhenFree(path string) error {
	fmt.Println("opening")
	s, err := Open(path, with(Options{NoSync: true, Timeout: 20 * time.Second}))
	if err != nil {
		return err
	}
	p, err := s.Get("after")
	if err == nil {
		p.ID = "theirs"
		_, err = s.Put(ctx, p, Write{})
	}
	fmt.Println("done", errors.Join(err, s.Close()))
	return nil
}
