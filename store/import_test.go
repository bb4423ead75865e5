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
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// TestImportCrash stops the world after every transaction of an import, and
// opens the files as they are then. A reader finds each profile as it was before
// or as it is after, a writer all of those from before or all of those from after; it
// takes the import again. Without the side file the writer keeps what is there.
func TestImportCrash(t *testing.T) {
	mine := Write{State: []byte("mine"), Append: []Example{{Text: "mine"}}}
	for name, c := range map[string]struct {
		before, meanwhile []string // ids that are put
	}{
		"into a store":            {[]string{"user002", "user005", "zoe"}, nil},
		"into an empty store":     {nil, nil},
		"into one that was empty": {nil, []string{"user002", "zoe"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRand(t)
			bundle := export(t, filled(t, r, 7), everything)
			to := newStore(t, fast)
			to.batch = 2
			put := func(id string) {
				if _, err := to.Put(ctx, randomProfile(r, id), mine); err != nil {
					t.Error(err)
				}
			}
			for _, id := range c.before {
				put(id)
			}
			images := imagesOf(t, to)
			before := contents(t, to)
			reader := &hookReader{bytes.NewReader(bundle), func() {
				for _, id := range c.meanwhile {
					put(id)
				}
				before = contents(t, to)
			}}
			report, err := to.Import(ctx, reader, ImportOptions{Policy: Overwrite})
			if err != nil || report.Total != 7 || report.Merged != 7 {
				t.Fatalf("got %+v, %v, want 7 of 7", report, err)
			}
			after := contents(t, to)
			merging := 0
			for i, image := range images() {
				for id, got := range image.seen {
					if !cmp.Equal(got, before[id], byValue) && !cmp.Equal(got, after[id], byValue) {
						t.Errorf("reader at transaction %d: %s is neither old nor new", i, id)
					}
				}
				if want := image.seen; !image.pending {
					checkImage(t, image.path, want, want, bundle)
				} else {
					merging++
					checkImage(t, image.path, want, after, bundle)
				}
			}
			if merging != 3 { // and the fourth batch is the last
				t.Errorf("got %d transactions in the middle of the merge, want 3", merging)
			}
			if err := to.nothingPending(); err != nil {
				t.Error(err)
			}
		})
	}
}

// image is a copy of a file, and what a reader saw at that moment.
type image struct {
	path    string
	seen    map[string]content
	pending bool // an import is being merged
}

// imagesOf copies the store's file after every transaction from now on, until
// the function that it returns is called.
func imagesOf(t *testing.T, s *Store) (stop func() []image) {
	dir := t.TempDir()
	var images []image
	s.committed = func() {
		path := filepath.Join(dir, fmt.Sprint(len(images), ".db"))
		b, err := os.ReadFile(s.Path())
		if err == nil {
			err = os.WriteFile(path, b, 0o600)
		}
		if err != nil {
			t.Error(err)
		}
		copyKeys(t, s.Path(), path)
		images = append(images, image{path, contents(t, s), s.pending(t) != nil}) // a reader beside the import
		if side, err := os.ReadFile(s.Path() + sidefile.Suffix); err == nil {
			if err := os.WriteFile(path+sidefile.Suffix, side, 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	return func() []image {
		s.writer.Lock()
		defer s.writer.Unlock()
		s.committed = nil
		return images
	}
}

// pending is the store's entry of an import, nil if there is none.
func (s *Store) pending(t *testing.T) (p *pendingImport) {
	t.Helper()
	err := s.view(func(tx *txn) (err error) {
		p, err = readPending(tx.Tx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return p
}

// checkImage opens files as a crash left them, to be read and then to be written.
func checkImage(t *testing.T, image string, seen, want map[string]content, bundle []byte) {
	t.Helper()
	lost := filepath.Join(t.TempDir(), "xpeft.db") // as restored from a backup
	b, err := os.ReadFile(image)
	if err = errors.Join(err, os.WriteFile(lost, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	copyKeys(t, image, lost)
	if diff := stateOf(t, lost, seen); diff != "" {
		t.Errorf("%s without the side file: %s", image, diff)
	}
	all := 7 // in the bundle
	if _, ok := want["zoe"]; ok {
		all++
	}
	for _, readOnly := range []bool{true, false} {
		s, err := Open(image, with(Options{NoSync: true, ReadOnly: readOnly}))
		if err != nil {
			t.Fatal(err)
		}
		want := want
		if readOnly {
			want = seen
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
			if got := contents(t, s); len(got) != all {
				t.Errorf("%s: got %d profiles, want %d", image, len(got), all)
			}
			checkCohorts(t, s)
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
// they were read and before they are merged.
func TestImportAgainstWriters(t *testing.T) {
	r := newRand(t)
	from := filled(t, r, 8)
	bundle := export(t, from, everything)
	for _, c := range []struct {
		o     ImportOptions
		count int
		err   error
	}{
		{ImportOptions{Policy: Fail}, 2, ErrExists},
		{ImportOptions{Policy: Skip}, 7, nil}, // user004 was there when it was read
		{ImportOptions{Policy: Overwrite}, 8, nil},
		{ImportOptions{Policy: Rename}, 10, nil},
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
				ref, _, err = to.PutHead(ctx, []byte("shared")) // in the bundle too
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
			checkCohorts(t, to)
		})
	}
}

// TestImportIntoEmpty imports into a store that has no profile when the import
// begins. It has some, or has had some, when it ends.
func TestImportIntoEmpty(t *testing.T) {
	r := newRand(t)
	bundle := export(t, filled(t, r, 8), everything)
	for name, c := range map[string]struct {
		meanwhile func(to *Store) error
		count     int
	}{
		"nobody else": {func(*Store) error { return nil }, 8},
		"a new one":   {func(to *Store) error { return second(to.Put(ctx, randomProfile(r, "zoe"), Write{})) }, 9},
		"an old one":  {func(to *Store) error { return second(to.Put(ctx, randomProfile(r, "user003"), Write{})) }, 8},
		"one that went": {func(to *Store) error {
			return errors.Join(second(to.Put(ctx, randomProfile(r, "zoe"), Write{})), to.Delete(ctx, "zoe"))
		}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			to := newStore(t, fast)
			to.batch = 3
			reader := &hookReader{bytes.NewReader(bundle), func() {
				if err := c.meanwhile(to); err != nil {
					t.Error(err)
				}
			}}
			report, err := to.Import(ctx, reader, ImportOptions{Policy: Overwrite})
			if err != nil || report.Profiles != 8 || report.Heads != 1 {
				t.Fatalf("got %+v, %v, want 8 profiles and a head", report, err)
			}
			want := contents(t, to)
			if n, err := to.Count(); len(want) != c.count || n != c.count || err != nil {
				t.Errorf("got %d profiles, count %d, %v, want %d", len(want), n, err, c.count)
			}
			checkCohorts(t, to)
			to = reopen(t, to, fast)
			if diff := cmp.Diff(want, contents(t, to), byValue); diff != "" {
				t.Error(diff)
			}
			checkCohorts(t, to)
			if err := to.db.Load().View(func(tx *bolt.Tx) error { return wantSchema(tx, format.Schema) }); err != nil {
				t.Error(err)
			}
		})
	}
}

func wantSchema(tx *bolt.Tx, want int) error {
	if m, err := readMeta(tx); err != nil || m.Schema != want {
		return fmt.Errorf("got schema %d, %v, want %d", m.Schema, err, want)
	}
	return nil
}
