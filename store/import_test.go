package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestImportCrash stops the world after every transaction of an import, and
// opens the file as it is then: it must hold the profiles from before or all
// of those from after, and take the import again.
func TestImportCrash(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 7)
	bundle := export(t, from, everything)
	to := newStore(t, fast)
	to.batch = 2
	for _, id := range []string{"user002", "user005", "zoe"} {
		if _, err := to.Put(ctx, randomProfile(r, id), Write{State: []byte("mine"), Append: []Example{{Text: "mine"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.FlushIndex(ctx); err != nil {
		t.Fatal(err)
	}
	before := contents(t, to)
	dir := t.TempDir()
	var images []string
	var seen []map[string]content
	to.committed = func() {
		image := filepath.Join(dir, fmt.Sprint(len(images), ".db"))
		b, err := os.ReadFile(to.Path())
		if err == nil {
			err = os.WriteFile(image, b, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
		images = append(images, image)
		seen = append(seen, contents(t, to)) // a reader beside the import
	}
	if _, err := to.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: Overwrite}); err != nil {
		t.Fatal(err)
	}
	to.committed = nil
	after := contents(t, to)
	if cmp.Equal(before, after, byValue) || len(images) < 10 {
		t.Fatalf("got %d transactions, want 10 or more that change something", len(images))
	}
	old := 0
	for i, image := range images {
		want := after
		if cmp.Equal(before, seen[i], byValue) {
			want = before
			old++
		}
		if diff := cmp.Diff(want, seen[i], byValue); diff != "" {
			t.Errorf("reader at transaction %d: %s", i, diff)
		}
		checkImage(t, image, want, bundle, after)
	}
	if old < 4 || old > len(images)-4 {
		t.Errorf("got %d of %d transactions before the commit", old, len(images))
	}
}

// checkImage opens a file as a crash left it.
func checkImage(t *testing.T, image string, want map[string]content, bundle []byte, after map[string]content) {
	t.Helper()
	for _, readOnly := range []bool{true, false} {
		s, err := Open(image, &Options{NoSync: true, ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
			t.Errorf("%s, read-only %t: %s", image, readOnly, diff)
		}
		if n, err := s.Count(); n != len(want) || err != nil {
			t.Errorf("%s: got count %d, %v, want %d", image, n, err, len(want))
		}
		if report, err := s.Check(ctx, true); err != nil {
			t.Errorf("%s, read-only %t: %v %v", image, readOnly, err, report.Problems)
		}
		if !readOnly {
			if _, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: Overwrite}); err != nil {
				t.Errorf("%s: import again: %v", image, err)
			}
			if got := contents(t, s); len(got) != len(after) {
				t.Errorf("%s: got %d profiles, want %d", image, len(got), len(after))
			}
			checkQueries(t, s, 1, 3)
			checkAndClose(t, s)
		} else if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// hookReader calls atEnd before it says that there is no more.
type hookReader struct {
	r     io.Reader
	atEnd func()
}

func (h *hookReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if err == io.EOF && h.atEnd != nil {
		h.atEnd()
		h.atEnd = nil
	}
	return n, err
}

// TestImportAgainstWriters puts and deletes profiles of the same ids after
// they were staged and before they are committed.
func TestImportAgainstWriters(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 6)
	bundle := export(t, from, everything)
	for _, c := range []struct {
		o     ImportOptions
		count int
		err   error
	}{
		{ImportOptions{Policy: Fail}, 2, ErrExists},
		{ImportOptions{Policy: Skip}, 5, nil}, // user004 was there when it was read
		{ImportOptions{Policy: Overwrite}, 6, nil},
		{ImportOptions{Policy: Rename}, 8, nil},
	} {
		t.Run(fmt.Sprint(c.o.Policy), func(t *testing.T) {
			to := newStore(t, fast)
			to.batch = 1
			if c.o.Policy != Fail {
				for _, id := range []string{"user001", "user004"} {
					if _, err := to.Put(ctx, randomProfile(r, id), Write{}); err != nil {
						t.Fatal(err)
					}
				}
			}
			var mine *Profile
			var ref uint32
			reader := &hookReader{bytes.NewReader(bundle), func() {
				var errs []error
				for range 4 {
					_, err := to.Put(ctx, randomProfile(r, "user000"), Write{State: []byte("mine")})
					errs = append(errs, err)
				}
				if c.o.Policy != Fail {
					errs = append(errs, to.Delete(ctx, "user004"))
				} else {
					errs = append(errs, second(to.Put(ctx, randomProfile(r, "other"), Write{})))
				}
				var err error
				mine, err = to.Get("user000")
				errs = append(errs, err)
				ref, _, err = to.PutHead(ctx, []byte("shared")) // staged too
				if err := errors.Join(append(errs, err)...); err != nil {
					t.Error(err)
				}
			}}
			report, err := to.Import(ctx, reader, c.o)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			got := contents(t, to)
			if len(got) != c.count {
				t.Errorf("got %d profiles, want %d; %+v", len(got), c.count, report)
			}
			if head, err := to.Head(ref); string(head) != "shared" || err != nil {
				t.Errorf("got head %q, %v, want %q", head, err, "shared")
			}
			zero := got["user000"]
			if c.o.Policy == Overwrite {
				if zero.Profile.Revision <= mine.Revision || string(zero.State) == "mine" {
					t.Errorf("got revision %d, state %q, want the bundle's, after %d", zero.Profile.Revision, zero.State, mine.Revision)
				}
			} else if diff := diffProfile(zero.Profile, mine); mine.Head == 0 && diff != "" {
				t.Error(diff)
			}
			checkQueries(t, to, 1, 3)
		})
	}
}

// TestImportDuringMerge writes to profiles of a committed import that is not
// merged yet.
func TestImportDuringMerge(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 8)
	bundle := export(t, from, everything)
	to := newStore(t, fast)
	to.batch = 2
	for _, id := range []string{"user003", "user005"} {
		if _, err := to.Put(ctx, randomProfile(r, id), Write{}); err != nil {
			t.Fatal(err)
		}
	}
	var errs []error
	done := make(chan struct{})
	started := false
	to.committed = func() {
		merging := false
		_ = to.view(func(tx *txn) error { merging = tx.merge != nil; return nil })
		if !merging || started {
			return
		}
		started = true
		ready := make(chan struct{})
		go func() { // comes between two steps of the merge
			defer close(done)
			close(ready)
			errs = append(errs, to.Delete(ctx, "user005"), to.Delete(ctx, "user006"),
				second(to.Put(ctx, randomProfile(r, "user007"), Write{})),
				to.AppendExamples(ctx, "user004", []Example{{Text: "new"}}))
		}()
		<-ready
	}
	if _, err := to.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: Overwrite}); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	got := contents(t, to)
	if len(got) != 6 || got["user007"].Profile.Revision != 2 {
		t.Errorf("got %d profiles, user007 at %d, want 6, at 2", len(got), got["user007"].Profile.Revision)
	}
	if e := got["user004"].Examples; len(e) == 0 || e[len(e)-1].Text != "new" {
		t.Errorf("got examples %v, want one more", e)
	}
	checkQueries(t, to, 1, 3)
}
