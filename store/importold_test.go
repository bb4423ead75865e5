package store

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store/internal/format"
)

// TestGoldenOldImports opens files of schemas 5 and 6 that were left in the middle
// of an import: what was staged is undone, what was committed is completed.
func TestGoldenOldImports(t *testing.T) {
	open := func(name string, readOnly bool) (*Store, error) {
		return Open(goldenFile(t, name), &Options{NoSync: true, ReadOnly: readOnly})
	}
	s, err := open("import-merged-v5.db.zst", true)
	if err != nil {
		t.Fatal(err)
	}
	after := contents(t, s)
	if err := s.Close(); err != nil || len(after) != 8 {
		t.Fatalf("got %d profiles, %v, want 8", len(after), err)
	}
	for name, want := range map[string]int{"import-merging-v5.db.zst": 8, "import-staged-v5.db.zst": 3, "import-staged-v6.db.zst": 0} {
		t.Run(name, func(t *testing.T) {
			s, err := open(name, true)
			if want == 8 {
				if !errors.Is(err, ErrReadOnly) {
					t.Errorf("read-only: got %v, want ErrReadOnly", err)
				}
			} else if err != nil {
				t.Fatal(err)
			} else if n := len(contents(t, s)); n != want || s.Close() != nil {
				t.Errorf("read-only: got %d profiles, want %d", n, want)
			}
			if s, err = open(name, false); err != nil {
				t.Fatal(err)
			}
			err = s.view(func(x *txn) error {
				if x.Tx.Bucket(format.Staging) != nil || x.Tx.Bucket(format.Merge) != nil {
					return errors.New("a bucket of the import is left")
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			got := contents(t, s)
			if diff := cmp.Diff(after, got, byValue); want == 8 && diff != "" || len(got) != want {
				t.Errorf("got %d profiles, want %d: %s", len(got), want, diff)
			}
			checkCohorts(t, s)
			checkAndClose(t, s)
			s, err = Open(s.Path(), &Options{ReadOnly: true})
			if err != nil || s.Meta().Schema != format.Schema || len(contents(t, s)) != want {
				t.Errorf("got schema %d, %v, want %d", s.Meta().Schema, err, format.Schema)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
