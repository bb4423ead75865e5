package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/boltpages"
)

// withPages is what a store's file holds, in a file of another page size: that of a machine whose
// memory has such pages.
func withPages(t *testing.T, from string, size int) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "xpeft.db")
	src := must(bolt.Open(from, 0o600, &bolt.Options{ReadOnly: true}))
	defer src.Close()
	dst := must(bolt.Open(path, 0o600, &bolt.Options{PageSize: size, NoSync: true}))
	if err := bolt.Compact(dst, src, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := dst.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(KeysPath(from)); err == nil {
		copyKeys(t, from, path)
	}
	return path
}

// TestPageSizes takes files of machines with pages of 4, 16 and 64 KiB through what works on pages.
func TestPageSizes(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 60)
	want := snapshot(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			path := withPages(t, s.Path(), size)
			f := must(os.Open(path))
			defer f.Close()
			if got := must(boltpages.ReadMeta(f)).PageSize; got != size {
				t.Fatalf("the file has pages of %d bytes", got)
			}
			s := must(Open(path, fast))
			if diff := cmp.Diff(want, snapshot(t, s), asPut); diff != "" {
				t.Fatal(diff)
			}
			if err := s.Delete(ctx, "person0007"); err != nil {
				t.Fatal(err)
			}
			secrets(t, s, 30)
			want := snapshot(t, s)
			b, report := backUp(t, s, 0)
			want["revision"] = report.Revision
			got, err := restored(t, b)
			if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
				t.Errorf("restored: %v\n%s", err, diff)
			}
			if _, err := s.Compact(ctx); err != nil {
				t.Error(err)
			}
			s = reopen(t, s, fast)
			if check, err := s.Check(ctx, true); err != nil {
				t.Errorf("%v %v", err, check.Problems)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			r, found := repaired(t, withPages(t, path, size))
			t.Logf("%+v", found)
			after := snapshot(t, r)
			delete(after, "revision")
			delete(want, "revision")
			if diff := cmp.Diff(want, after, asPut); diff != "" {
				t.Errorf("repaired: %s", diff)
			}
		})
	}
}
