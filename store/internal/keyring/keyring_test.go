package keyring

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/store/internal/format"
)

var master = bytes.Repeat([]byte{7}, MasterSize)

// made makes a file of keys with those of some numbers.
func made(t *testing.T, numbers ...uint32) (path string, ring *Ring) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.keys")
	id, err := Create(path, master)
	if err != nil {
		t.Fatal(err)
	}
	if ring, err = Open(path, id, master, false, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ring.Close() })
	slots := map[uint32][]byte{}
	for _, n := range numbers {
		if slots[n], _, err = ring.NewSlot(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := ring.Write(slots); err != nil {
		t.Fatal(err)
	}
	return path, ring
}

// TestErase: an erased key is gone from the file, and a reader that began before is told so.
func TestErase(t *testing.T) {
	path, ring := made(t, 1, 2, 3, 9)
	before := ring.Epoch()
	a, err := ring.AEAD(2)
	if err != nil {
		t.Fatal(err)
	}
	sealed := a.Seal(nil, nil, []byte("text"), nil)
	if err := ring.Erase([]uint32{2, 9}); err != nil {
		t.Fatal(err)
	}
	if _, err := ring.AEAD(2); !errors.Is(err, format.ErrCorrupt) {
		t.Errorf("the key erased: got %v, want ErrCorrupt", err)
	}
	if !ring.ErasedSince(2, before) || ring.ErasedSince(2, ring.Epoch()) || ring.ErasedSince(1, before) {
		t.Error("ErasedSince: want it of 2 since then, and of no other")
	}
	var left []uint32
	if err := ring.Each(func(n uint32) { left = append(left, n) }); err != nil || !slices.Equal(left, []uint32{1, 3}) {
		t.Errorf("got keys of %v, %v, want 1 and 3", left, err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := file[SlotAt(2):][:SlotSize]; !isZero(got) {
		t.Errorf("got %x in the file, want zeros", got)
	}
	again, err := ring.AEAD(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Open(nil, nil, sealed, nil); err == nil {
		t.Error("another's key opens it")
	}
}

// TestDamagedFile flips a bit of each byte of a file: the header is refused, and so is the slot.
func TestDamagedFile(t *testing.T) {
	path, ring := made(t, 1)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range sound {
		b := bytes.Clone(sound)
		b[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := Open(path, ring.id, master, true, true)
		if refused := err != nil; refused != (at < HeaderSize) {
			t.Fatalf("byte %d: got %v of the header", at, err)
		}
		if err != nil {
			if !errors.Is(err, format.ErrCorrupt) {
				t.Fatalf("byte %d: got %v, want ErrCorrupt", at, err)
			}
			continue
		}
		_, err = again.AEAD(1)
		if refused := errors.Is(err, format.ErrCorrupt); refused != (int64(at) >= SlotAt(1)) {
			t.Fatalf("byte %d: got %v of the slot", at, err)
		}
		again.Close()
	}
	if _, err := Open(path, "another's", master, true, true); !errors.Is(err, ErrKey) {
		t.Errorf("another's: got %v, want ErrKey", err)
	}
	master[0]++
	defer func() { master[0]-- }()
	if _, err := Open(path, ring.id, master, true, true); !errors.Is(err, ErrKey) {
		t.Errorf("another master key: got %v, want ErrKey", err)
	}
}
