package store

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
)

func TestSample(t *testing.T) {
	s, r := newStore(t, fast), newRand(t)
	for range s.Sample(3) {
		t.Error("an empty store gave a profile")
	}
	var batch []*Profile
	for i := range 1000 {
		batch = append(batch, randomProfile(r, fmt.Sprintf("u%04d", i)))
	}
	if err := s.PutBatch(ctx, batch); err != nil {
		t.Fatal(err)
	}
	for i := 100; i < 300; i++ { // a hole
		if err := s.Delete(ctx, batch[i].ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ limit, least int }{{1, 1}, {2, 2}, {7, 6}, {300, 230}, {999, 700}, {1000, 800}, {5000, 800}} {
		seen, last, late := map[string]bool{}, uint32(0), 0
		for p, err := range s.Sample(c.limit) {
			if err != nil {
				t.Fatal(err)
			}
			if seen[p.ID] || p.Number <= last {
				t.Fatalf("limit %d: %q, number %d after %d", c.limit, p.ID, p.Number, last)
			}
			if last = p.Number; last > 650 {
				late++
			}
			seen[p.ID] = true
		}
		if n := len(seen); n > min(c.limit, 800) || n < c.least {
			t.Errorf("limit %d: got %d profiles, want at least %d", c.limit, n, c.least)
		}
		if n := len(seen); n > 5 && (late*5 < n || late*2 > n+2) {
			t.Errorf("limit %d: %d of %d are of the last 350 of 800", c.limit, late, n)
		}
	}
}

// TestChanges: what was made of many profiles is old once one was put or deleted.
func TestChanges(t *testing.T) {
	s, r := newStore(t, fast), newRand(t)
	at := s.Changes()
	moved := func(what string, want bool) {
		t.Helper()
		now := s.Changes()
		if (now != at) != want {
			t.Errorf("%s: moved from %d to %d, want a move: %v", what, at, now, want)
		}
		at = now
	}
	if _, err := s.Put(ctx, randomProfile(r, "ann"), Write{}); err != nil {
		t.Fatal(err)
	}
	moved("Put", true)
	if err := s.AppendExamples(ctx, "ann", []Example{{Text: "x", Label: "y"}}); err != nil {
		t.Fatal(err)
	}
	moved("AppendExamples", false)
	for range s.Sample(9) {
	}
	moved("Sample", false)
	if err := s.Delete(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
	moved("Delete", true)
}

// TestSampleDamagedNumber has a record under a number far behind all others,
// as a flipped bit makes it. Counting up to it would take seconds.
func TestSampleDamagedNumber(t *testing.T) {
	s := filled(t, newRand(t), 3)
	path := filepath.Join(t.TempDir(), "damaged.db")
	backup(t, s, path)
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		record := bytes.Clone(tx.Bucket(bktProfiles).Get(key32(3)))
		return errors.Join(tx.Bucket(bktProfiles).Delete(key32(3)), tx.Bucket(bktProfiles).Put(key32(1<<31), record))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	damaged, err := Open(path, with(Options{ReadOnly: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer damaged.Close()
	n := 0
	for p, err := range damaged.Sample(10) {
		if err != nil || p.Number > 2 {
			t.Errorf("got %+v, %v, want the profiles 1 and 2", p, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("got %d profiles, want 2", n)
	}
}
