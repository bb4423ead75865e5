package boltpages

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// written makes a file of a bucket with branch pages, a small one, one with a bucket within it,
// and free pages. It returns the file and what is in the first two.
func written(t *testing.T) (path string, want map[string]map[string]string) {
	t.Helper()
	path, want = filepath.Join(t.TempDir(), "x.db"), map[string]map[string]string{"many": {}, "few": {}}
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		err = errors.Join(err, db.Update(func(tx *bolt.Tx) error {
			many, err := tx.CreateBucketIfNotExists([]byte("many"))
			few, err2 := tx.CreateBucketIfNotExists([]byte("few"))
			outer, err3 := tx.CreateBucketIfNotExists([]byte("outer"))
			if err := errors.Join(err, err2, err3); err != nil {
				return err
			}
			_, err = outer.CreateBucketIfNotExists([]byte("inner"))
			for i := range 1000 {
				key, value := fmt.Sprintf("key %04d", i), bytes.Repeat([]byte{byte(i + round)}, i%50+1)
				if want["many"][key] = string(value); i == 500 {
					value = bytes.Repeat(value, 400) // several pages
					want["many"][key] = string(value)
				}
				err = errors.Join(err, many.Put([]byte(key), value))
			}
			want["few"]["one"] = "two"
			return errors.Join(err, few.Put([]byte("one"), []byte("two")))
		}))
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path, want
}

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// salvaged is what a Salvage finds in the first two buckets.
func salvaged(s *Salvage) (map[string]map[string]string, error) {
	got := map[string]map[string]string{"many": {}, "few": {}}
	var err error
	for name, values := range got {
		err = errors.Join(err, s.All(s.Buckets[name], func(k, v []byte) error {
			values[string(k)] = string(v)
			return nil
		}))
	}
	return got, err
}

func TestSoundFile(t *testing.T) {
	path, want := written(t)
	f := open(t, path)
	w := Walk{Nested: "outer", Problem: func(wrong error) { t.Error(wrong) }}
	if err := w.All(f); err != nil {
		t.Fatal(err)
	}
	if (&Walk{}).All(f) == nil {
		t.Error("a bucket within one that is not to hold any: got no error")
	}
	s, err := OpenSalvage(f, 1<<15, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	got, err := salvaged(s)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	within, err := s.Within(s.Buckets["outer"])
	if _, ok := within["inner"]; !ok || len(within) != 1 || err != nil {
		t.Errorf("got %v, %v within, want the bucket inner", within, err)
	}
}

// TestFlips flips a bit in every 151st byte: neither a Walk nor a Salvage may panic or hang.
func TestFlips(t *testing.T) {
	path, _ := written(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 0; at < len(sound); at += 151 {
		b := bytes.Clone(sound)
		b[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		f := open(t, path)
		if err := (&Walk{Nested: "outer"}).All(f); err != nil {
			if refused++; !errors.Is(err, format.ErrCorrupt) {
				t.Errorf("flip at %d: got %v, want ErrCorrupt", at, err)
			}
		}
		s, err := OpenSalvage(f, 1<<15, 1<<20)
		if err == nil {
			_, err = salvaged(s)
		}
		if err != nil {
			t.Errorf("flip at %d: got %v, want what can be read", at, err)
		}
		f.Close()
	}
	if t.Logf("of %d flips %d were seen", len(sound)/151, refused); refused < 50 {
		t.Errorf("got %d flips seen, want 50 at least", refused)
	}
}
