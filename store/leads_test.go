package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/boltpages"
	"github.com/xpeft/xpeft/store/internal/format"
)

// flippedLead makes a store of many ids and flips a bit of the key that one of their leaf pages
// begins with. It returns the store's path, that key, and one of the page before and of that
// after.
func flippedLead(t *testing.T) (path string, first, before, after []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	s, err := Create(path, testMeta, fast)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutBank(ctx, testBank); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 600 {
		if _, err := s.Put(ctx, randomProfile(r, fmt.Sprintf("id %04d", 10*i)), Write{}); err != nil {
			t.Fatal(err)
		}
	}
	f, root := s.db.Load(), uint64(0)
	if err := f.View(func(tx *bolt.Tx) error {
		root = uint64(tx.Bucket(format.IDs).Root())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	leaf, err := boltpages.Leaf(f.file, f.Info().PageSize, root, []byte("id 3000"), true)
	if err != nil || leaf.Low == nil || leaf.High == nil {
		t.Fatalf("got %+v, %v, want a leaf among others", leaf, err)
	}
	last := func(key []byte) []byte { return append(bytes.Clone(key[:len(key)-1]), key[len(key)-1]-1) }
	first, before, after = leaf.Low, last(leaf.Low), leaf.High
	size := f.Info().PageSize
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for page := 0; page < len(raw); page += size {
		element := raw[page+16:]
		at := 16 + int(binary.NativeEndian.Uint32(element[4:]))
		if binary.NativeEndian.Uint16(raw[page+8:]) == 2 && bytes.HasPrefix(raw[page+at:page+size], first) {
			raw[page+at+len(first)-1] ^= 1
			flipped++
		}
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil || flipped == 0 {
		t.Fatalf("flipped %d keys, %v", flipped, err)
	}
	return path, first, before, after
}

// TestDamagedLead: a page whose first key is damaged is not written, nor one beside it that could
// be joined with it: bbolt would leave what leads to it leading to a free page. All else is.
func TestDamagedLead(t *testing.T) {
	path, first, before, after := flippedLead(t)
	s, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	put := func(id string) error {
		_, err := s.Put(ctx, randomProfile(r, id), Write{})
		return err
	}
	if err := put(string(first) + "new"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("put on the damaged page: got %v, want %v", err, ErrCorrupt)
	}
	if err := put(string(before)); err != nil {
		t.Errorf("put on the page before: %v", err)
	}
	for _, id := range [][]byte{before, after} {
		if err := s.Delete(ctx, string(id)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("delete %q beside the damaged page: got %v, want %v", id, err, ErrCorrupt)
		}
	}
	if err := errors.Join(put("id 0005"), s.Delete(ctx, "id 0005"), put("id 9999")); err != nil {
		t.Errorf("far from the damaged page: %v", err)
	}
	if _, err := s.Check(ctx, true); !errors.Is(err, ErrCorrupt) {
		t.Errorf("Check: got %v, want %v", err, ErrCorrupt)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := new(boltpages.Walk).Branches(f); err != nil {
		t.Errorf("after the writes: %v", err)
	}
}
