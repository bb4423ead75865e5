package boltpages

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/format"
)

// rootOf is the root page of a bucket, and the file's page size.
func rootOf(t *testing.T, path, name string) (root uint64, size int) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(func(tx *bolt.Tx) error {
		root = uint64(tx.Bucket([]byte(name)).Root())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return root, db.Info().PageSize
}

// TestLeaf: the leaves that keys lie on follow each other, and of any byte of a first key that is
// flipped, the leaf itself and with beside its neighbours say so, and no other does.
func TestLeaf(t *testing.T) {
	path, want := written(t)
	root, size := rootOf(t, path, "many")
	keys := make([][]byte, 0, len(want["many"]))
	for k := range want["many"] {
		keys = append(keys, []byte(k))
	}
	slices.SortFunc(keys, bytes.Compare)
	f := open(t, path)
	var leaves []Span
	for _, key := range append(keys, []byte("zz"), []byte{}) {
		got, err := Leaf(f, size, root, key, true)
		if err != nil || !got.Has(key) {
			t.Fatalf("key %q: got %+v, %v", key, got, err)
		}
		if n := len(leaves); len(key) > 0 && (n == 0 || !bytes.Equal(got.Low, leaves[n-1].Low)) {
			leaves = append(leaves, got)
		}
	}
	for i, leaf := range leaves[1:] {
		if !bytes.Equal(leaves[i].High, leaf.Low) {
			t.Errorf("leaf %d ends at %q, the next begins at %q", i, leaves[i].High, leaf.Low)
		}
	}
	if len(leaves) < 5 || leaves[len(leaves)-1].High != nil {
		t.Fatalf("got %d leaves, the last up to %q", len(leaves), leaves[len(leaves)-1].High)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const damaged = 3
	first := leaves[damaged].Low
	for page := 0; page < len(raw); page += size {
		at := page + int(placeOf(kindLeaf, raw[page+pageHeader:], pageHeader).key)
		if native.Uint16(raw[page+8:]) == kindLeaf && at < len(raw) && bytes.HasPrefix(raw[at:], first) {
			raw[at+len(first)-1] ^= 1
		}
	}
	for i, leaf := range leaves {
		for _, beside := range []bool{false, true} {
			_, err := Leaf(bytes.NewReader(raw), size, root, leaf.Low, beside)
			bad := i == damaged || beside && (i == damaged-1 || i == damaged+1)
			if errors.Is(err, format.ErrCorrupt) != bad {
				t.Errorf("leaf %d, neighbours too: %v; the first key of leaf %d is damaged: got %v", i, beside, damaged,
					err)
			}
		}
	}
}

// FuzzLeaf: pages of any bytes are an error or a leaf, and never more memory than a page says.
func FuzzLeaf(f *testing.F) {
	f.Add(make([]byte, 2048), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, page uint8) {
		span, err := Leaf(bytes.NewReader(raw), 1024, uint64(page), []byte("key"), true)
		if err == nil && !span.Has([]byte("key")) && span.Low == nil {
			t.Errorf("got %+v", span)
		}
	})
}
