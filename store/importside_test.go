package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/keyring"
	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// cutShort is a store in the middle of a merge, as a crash leaves it, with what
// was seen before the import and what is to be seen after it.
func cutShort(t *testing.T, r *rand.Rand, o *Options) (path string, before, after map[string]content) {
	t.Helper()
	s, before, after := halfMerged(t, r, o)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Path(), before, after
}

// halfMerged is cutShort before the store is closed.
func halfMerged(t *testing.T, r *rand.Rand, o *Options) (s *Store, before, after map[string]content) {
	t.Helper()
	bundle, theirs := bundled(t, r, 8)
	s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBank(ctx, testBank); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{crashID(1), crashID(5), "zoe"} {
		p, w := marked(r, id)
		if _, err := s.Put(ctx, p, w); err != nil {
			t.Fatal(err)
		}
	}
	before = contents(t, s)
	s.batch = 2
	s.committed = func() {
		if p := s.pending(t); p != nil && p.merged == 4 {
			s.closing.Store(true)
		}
	}
	if report, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: Overwrite}); report.Merged != 4 {
		t.Fatalf("got %+v, %v, want 4 merged", report, err)
	}
	s.closing.Store(false)
	s.committed = nil
	after = theirs
	after["zoe"] = before["zoe"]
	for _, id := range []string{crashID(1), crashID(5)} {
		c := after[id]
		p := *c.Profile
		p.Revision = before[id].Profile.Revision + 1
		c.Profile = &p
		after[id] = c
	}
	return s, before, after
}

// eachOld fails for a profile that is neither as before nor as after, and for
// one from before that is missing.
func eachOld(t *testing.T, what string, got, before, after map[string]content) {
	t.Helper()
	for id, c := range got {
		if !cmp.Equal(c, before[id], byValue) && !cmp.Equal(c, after[id], byValue) {
			t.Errorf("%s: %s is neither old nor new", what, id)
		}
	}
	for id := range before {
		if _, ok := got[id]; !ok {
			t.Errorf("%s: %s is missing", what, id)
		}
	}
}

// TestSideFileDamaged flips each byte of the side file of a merge that was cut
// short, and cuts it at each length. Open goes on as far as it can be read, and then
// gives the import up: each profile is old or new, and nothing else is damaged.
func TestSideFileDamaged(t *testing.T) {
	r := newRand(t)
	path, before, after := cutShort(t, r, fast)
	db, err := os.ReadFile(path)
	side, serr := os.ReadFile(path + sidefile.Suffix)
	if err := errors.Join(err, serr); err != nil {
		t.Fatal(err)
	}
	step := 7
	if testing.Short() || raceEnabled {
		step = 97
	}
	t.Logf("%d flips and as many cuts", (len(side)+step-1)/step)
	for i := 0; i < len(side); i += step {
		flipped := bytes.Clone(side)
		flipped[i] ^= 1 << (i % 8)
		for what, b := range map[string][]byte{fmt.Sprint("flipped at ", i): flipped, fmt.Sprint("cut at ", i): side[:i]} {
			err := errors.Join(os.WriteFile(path, db, 0o600), os.WriteFile(path+sidefile.Suffix, b, 0o600))
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(path, fast)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			got := contents(t, s)
			eachOld(t, what, got, before, after)
			if cmp.Equal(got, after, byValue) {
				t.Errorf("%s: got all profiles, want it refused", what)
			}
			if err := s.nothingPending(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			checkAndClose(t, s)
		}
	}
}

// TestSideFilePlanted has somebody else put things in the place of the side
// file: before an import, in the middle of it, and after it was cut short. What a link
// leads to is never read nor written, and what is not this import's is not merged.
func TestSideFilePlanted(t *testing.T) {
	r := newRand(t)
	other, _, _ := cutShort(t, r, fast)
	strangers, err := os.ReadFile(other + sidefile.Suffix)
	if err != nil {
		t.Fatal(err)
	}
	for name, plant := range map[string]func(path, target string) error{
		"a link":              func(path, target string) error { return os.Symlink(target, path) },
		"a link to nothing":   func(path, target string) error { return os.Symlink(target+".none", path) },
		"a hard link":         func(path, target string) error { return os.Link(target, path) },
		"another's side file": func(path, _ string) error { return os.WriteFile(path, strangers, 0o666) },
		"a folder":            func(path, _ string) error { return os.MkdirAll(filepath.Join(path, "in it"), 0o777) },
		"nothing":             func(string, string) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "target")
			secret := []byte("somebody's")
			if err := os.WriteFile(target, secret, 0o600); err != nil {
				t.Fatal(err)
			}
			untouched := func(when string) {
				t.Helper()
				if b, err := os.ReadFile(target); !bytes.Equal(b, secret) || err != nil {
					t.Errorf("%s: the link's target is %q, %v", when, b, err)
				}
				if _, err := os.Lstat(target + ".none"); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s: the link's target was made", when)
				}
			}
			s := newStore(t, fast)
			bundle, theirs := bundled(t, r, 3)
			whole, planted := bytes.NewReader(bundle), false
			reader := readerFunc(func(p []byte) (int, error) { // nothing looks at the name before
				if !planted {
					planted = true
					if err := plant(s.Path()+sidefile.Suffix, target); err != nil {
						t.Error(err)
					}
				}
				return whole.Read(p)
			})
			_, err := s.Import(ctx, reader, ImportOptions{})
			if name == "a folder" {
				if err == nil || len(contents(t, s)) != 0 {
					t.Errorf("got %v, and %d profiles, want an error and none", err, len(contents(t, s)))
				}
			} else if diff := cmp.Diff(theirs, contents(t, s), byValue); diff != "" || err != nil {
				t.Error(diff, err)
			}
			untouched("before an import")

			path, before, after := cutShort(t, r, fast)
			if err := errors.Join(os.Remove(path+sidefile.Suffix), plant(path+sidefile.Suffix, target)); err != nil {
				t.Fatal(err)
			}
			merged := contentsAt(t, path)
			if s, err = Open(path, fast); err != nil {
				t.Fatal(err)
			}
			eachOld(t, "cut short", contents(t, s), before, after)
			if diff := cmp.Diff(merged, contents(t, s), byValue); diff != "" {
				t.Errorf("cut short: %s", diff)
			}
			if p := s.pending(t); p != nil {
				t.Errorf("got %+v, want it given up", p)
			}
			untouched("cut short")
			checkAndClose(t, s)
		})
	}
}

func contentsAt(t *testing.T, path string) map[string]content {
	t.Helper()
	s, err := Open(path, with(Options{ReadOnly: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return contents(t, s)
}

// TestSideFileLeft has a crash leave a side file that the store has no entry of:
// the bundle was not verified. Open removes it, and nothing of it is in the store.
func TestSideFileLeft(t *testing.T) {
	r := newRand(t)
	path, _, _ := cutShort(t, r, fast)
	side, err := os.ReadFile(path + sidefile.Suffix)
	if err != nil {
		t.Fatal(err)
	}
	s := filled(t, r, 3)
	want := contents(t, s)
	if err := os.WriteFile(s.Path()+sidefile.Suffix, side, 0o600); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, with(Options{ReadOnly: true}))
	if _, err := os.Stat(s.Path() + sidefile.Suffix); err != nil {
		t.Errorf("read-only: got %v, want it left", err)
	}
	s = reopen(t, s, fast)
	if err := s.nothingPending(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, contents(t, s), byValue); diff != "" {
		t.Error(diff)
	}
}

// TestSideFileMode says that nobody else can read it, and that it is one file
// beside the store.
func TestSideFileMode(t *testing.T) {
	path, _, _ := cutShort(t, newRand(t), fast)
	info, err := os.Lstat(path + sidefile.Suffix)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v, want a regular file of mode 0600", info.Mode(), err)
	}
}

// TestSideFileSealed looks for all that a bundle has in the side file of an
// encrypted store, and finds it in that of a store in the clear. Its key is overwritten
// once it is merged.
func TestSideFileSealed(t *testing.T) {
	if testKey != nil {
		t.Skip("compares with a store in the clear")
	}
	secrets := func(after map[string]content) (all [][]byte) {
		for id, c := range after {
			if id != "zoe" {
				all = append(all, []byte(id), c.State, c.Profile.Affine)
				if m := c.Profile.Mask; m != nil {
					all = append(all, m.Bytes())
				}
				for _, code := range c.Profile.Codes {
					all = append(all, slices.Concat(code.Scales, code.Rows))
				}
			}
		}
		return all
	}
	found := func(o *Options) (path string, n, of int) {
		path, _, after := cutShort(t, newRand(t), o)
		b, err := os.ReadFile(path + sidefile.Suffix)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range secrets(after) {
			if of++; bytes.Contains(b, secret) {
				n++
			}
		}
		return path, n, of
	}
	if _, n, of := found(fast); n != of {
		t.Errorf("in the clear: got %d of %d secrets, want all: the test looks for the wrong ones", n, of)
	}
	path, n, of := found(encrypted(Options{}))
	if n != 0 {
		t.Errorf("encrypted: got %d of %d secrets, want none", n, of)
	}
	side, err := os.Open(path + sidefile.Suffix)
	if err != nil {
		t.Fatal(err)
	}
	defer side.Close()
	key := make([]byte, keyring.WrappedSize)
	if _, err := side.ReadAt(key, int64(sidefile.HeaderSize)); err != nil || isZero(key) {
		t.Fatalf("got key %x, %v", key, err)
	}
	s, err := Open(path, encrypted(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := side.ReadAt(key, int64(sidefile.HeaderSize)); err != nil || !isZero(key) {
		t.Errorf("after the merge: got key %x, %v, want zeros", key, err)
	}
	if n, err := s.Count(); n != 9 || err != nil {
		t.Errorf("got %d profiles, %v, want 9", n, err)
	}
}
