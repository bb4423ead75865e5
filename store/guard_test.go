package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// panics returns what fn panics with.
func panics(fn func()) (v any) {
	defer func() { v = recover() }()
	fn()
	return nil
}

// TestGuardedPassesOthers wants panics that are not of damaged pages to go on,
// and the store to be usable afterwards.
func TestGuardedPassesOthers(t *testing.T) {
	s := filled(t, newRand(t), 3)
	var nothing *Profile
	for name, fn := range map[string]func(){
		"own bug": func() { _ = s.view(func(*txn) error { _ = nothing.ID; return nil }) },
		"own bug, writing": func() {
			_ = s.write(ctx, func(*writeTx) error { panic("ours") })
		},
		"caller's writer":       func() { _, _ = s.Backup(ctx, writerFunc(func([]byte) (int, error) { panic("theirs") }), nil) },
		"caller's writer fault": func() { _, _ = s.Backup(ctx, writerFunc(func([]byte) (int, error) { return 0, fault(t) }), nil) },
	} {
		before := debug.SetPanicOnFault(false)
		if v := panics(fn); v == nil {
			t.Errorf("%s: no panic", name)
		}
		if debug.SetPanicOnFault(before) {
			t.Errorf("%s: SetPanicOnFault was left on", name)
		}
		if _, err := s.Get("user000"); err != nil {
			t.Errorf("%s: Get afterwards: %v", name, err)
		}
		if _, err := s.Put(ctx, randomProfile(newRand(t), "user000"), Write{}); err != nil {
			t.Errorf("%s: Put afterwards: %v", name, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// fault reads a mapping behind the end of its file.
func fault(t *testing.T) error {
	path := filepath.Join(t.TempDir(), "short.db")
	db, err := bolt.Open(path, 0o600, &bolt.Options{InitialMmapSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return db.View(func(tx *bolt.Tx) error {
		if err := os.Truncate(path, 4096); err != nil {
			t.Fatal(err)
		}
		tx.Bucket([]byte("b"))
		return nil
	})
}

// TestFileCutWhileOpen cuts the file off under an open store: what is read
// behind the cut faults, and even bbolt's meta pages may be gone.
func TestFileCutWhileOpen(t *testing.T) {
	for _, size := range []int64{0, 4096, 8192} {
		path := filepath.Join(t.TempDir(), "xpeft.db")
		sound := filled(t, newRand(t), 3)
		backup(t, sound, path)
		// Without its background writer: with the meta pages gone bbolt holds its
		// locks for ever, and who waits for them already waits for ever.
		s, err := Open(path, with(Options{NoSync: true}))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Get("user000"); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes: Get: got %v, want ErrCorrupt", size, err)
			}
			_, err := s.Put(ctx, randomProfile(newRand(t), "x"), Write{})
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes: Put: got %v, want ErrCorrupt", size, err)
			}
			if _, err := s.Check(ctx, true); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%d bytes: Check: got %v, want ErrCorrupt", size, err)
			}
		}
		if err := s.Close(); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: Close: got %v, want nil or ErrCorrupt", size, err)
		}
	}
}

// TestNumberOfAnother damages the number that an id leads to: what lies beside
// a record must not be shown as, or erased with, another profile's.
func TestNumberOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xpeft.db")
	sound := newStore(t, fast)
	for _, id := range []string{"ann", "bob"} {
		w := Write{State: []byte(id), Append: []Example{{Text: "text of " + id, Label: "a"}}}
		if _, err := sound.Put(ctx, randomProfile(newRand(t), id), w); err != nil {
			t.Fatal(err)
		}
	}
	backup(t, sound, path)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(format.IDs).Put(sound.idKey("ann"), format.Key(2)) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, fn := range map[string]func() error{
		"Get":            func() error { _, err := s.Get("ann"); return err },
		"State":          func() error { _, err := s.State("ann"); return err },
		"Examples":       func() error { _, err := s.Examples("ann"); return err },
		"AppendExamples": func() error { return s.AppendExamples(ctx, "ann", []Example{{Text: "x"}}) },
		"Put":            func() error { _, err := s.Put(ctx, randomProfile(newRand(t), "ann"), Write{}); return err },
		"Delete":         func() error { return s.Delete(ctx, "ann") },
	} {
		if err := fn(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
		}
	}
	got, err := s.Examples("bob")
	if err != nil || len(got) != 1 || got[0].Text != "text of bob" {
		t.Errorf("Examples of bob: got %v, %v, want its own", got, err)
	}
}

// TestExampleFarOff has an example under a sequence number far behind, as a
// flipped bit makes it: counting up to it would never end.
func TestExampleFarOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xpeft.db")
	sound := newStore(t, fast)
	_, err := sound.Put(ctx, randomProfile(newRand(t), "ann"), Write{Append: []Example{{Text: "a", Label: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	backup(t, sound, path)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { return tx.Bucket(format.Examples).Put(format.KeyAt(1, 1<<60), []byte("?")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.AppendExamples(ctx, "ann", []Example{{Text: "c", Label: "d"}}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}
