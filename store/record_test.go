package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bitmask"
)

// fullProfile has every field; it is the same in every version of the tests.
func fullProfile() *Profile {
	mask, err := bitmask.New(20, 5, 2)
	if err != nil {
		panic(err)
	}
	for i := range 5 {
		mask.Row(bitmask.Down, 0).Set(i)
		mask.Row(bitmask.Down, 1).Set(19 - i)
		mask.Row(bitmask.Up, 0).Set(4 * i)
		mask.Row(bitmask.Up, 1).Set(2*i + 1)
	}
	return &Profile{
		ID: "anna@example.org", Revision: 300, Bank: 2, OwnHead: []byte("an own head"),
		Mask:   mask,
		Affine: []byte{1, 2, 3}, Prior: []uint32{0, 1, 1 << 31}, Bias: []byte{0},
		Created:  time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC),
		Updated:  time.Date(2026, 2, 2, 3, 4, 5, 0, time.UTC),
		Examples: 200, Before: 0.5, After: float32(math.Inf(1)),
	}
}

func sampleProfiles() map[string]*Profile {
	mask := randomMask(rand.New(rand.NewPCG(3, 4)), 9, 3, 1)
	return map[string]*Profile{
		"full":    fullProfile(),
		"bare":    {ID: "a", Mask: mask},
		"shared":  {ID: "ü", Bank: math.MaxUint32, Head: math.MaxUint32, Revision: math.MaxUint64, Mask: mask},
		"rows":    {ID: "r", Bank: 1, Head: 200, Revision: 1, Mask: mask, OwnHead: []byte("rows beside a head"), Prior: []uint32{1, 0, 2}},
		"before":  {ID: "b", Mask: mask, Created: time.Unix(-9, 0).UTC(), Updated: time.Unix(-10, 0).UTC()},
		"updated": {ID: "b", Mask: mask, Updated: time.Unix(-10, 0).UTC(), After: 1},
	}
}

func mustEncode(t testing.TB, p *Profile) []byte {
	t.Helper()
	b, err := EncodeProfile(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRecordRoundTrip(t *testing.T) {
	for name, want := range sampleProfiles() {
		t.Run(name, func(t *testing.T) {
			b := mustEncode(t, want)
			got, err := DecodeProfile(b)
			if err != nil {
				t.Fatal(err)
			}
			masks := cmp.Comparer(func(a, b *bitmask.Mask) bool { return a.Equal(b) })
			if diff := cmp.Diff(want, got, masks); diff != "" {
				t.Error(diff)
			}
			if again := mustEncode(t, got); !bytes.Equal(again, b) {
				t.Errorf("got %x, want %x", again, b)
			}
			clear(b) // the profile must not share it
			if diff := cmp.Diff(want, got, masks); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRecordGolden reads a record of each version, byte for byte.
func TestRecordGolden(t *testing.T) {
	rows := fullProfile()
	rows.Head = 3
	for name, p := range map[string]*Profile{"record-v1.bin": fullProfile(), "record-v2.bin": rows} {
		want, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		if got := mustEncode(t, p); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		if _, err := DecodeProfile(want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecordVersions: who reads version 1 only must not take rows for a head, and nobody a version for the other.
func TestRecordVersions(t *testing.T) {
	for name, p := range sampleProfiles() {
		b := mustEncode(t, p)
		want := byte(recordPlain)
		if name == "rows" {
			want = recordVersion
		}
		if b[1] != want {
			t.Errorf("%s: got version %d, want %d", name, b[1], want)
		}
		b[1] = recordPlain + recordVersion - want
		if _, err := DecodeProfile(reseal(b)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s as version %d: got %v, want ErrCorrupt", name, b[1], err)
		}
	}
}

func TestRecordSize(t *testing.T) {
	p := &Profile{
		ID: "u", Bank: 1, Head: 1, Revision: 3, Examples: 40, Before: 0.5, After: 0.75,
		Mask:    randomMask(rand.New(rand.NewPCG(3, 4)), 150, 50, 6),
		Created: time.Now(), Updated: time.Now().Add(24 * time.Hour),
	}
	mask, record := len(p.Mask.Bytes()), len(mustEncode(t, p))
	t.Logf("mask %d B, record %d B", mask, record)
	if mask != 228 || record > 228+42 {
		t.Errorf("got mask %d, record %d, want 228 and at most 270", mask, record)
	}
}

func TestRecordDamage(t *testing.T) {
	for name, p := range sampleProfiles() {
		b := mustEncode(t, p)
		for i := range b {
			if _, err := DecodeProfile(b[:i]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut at %d: got %v, want ErrCorrupt", name, i, err)
			}
			for bit := range 8 {
				flipped := bytes.Clone(b)
				flipped[i] ^= 1 << bit
				if _, err := DecodeProfile(flipped); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s flipped at %d.%d: got %v, want ErrCorrupt", name, i, bit, err)
				}
			}
		}
		if _, err := DecodeProfile(append(b, 0)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s with a tail: got %v, want ErrCorrupt", name, err)
		}
	}
}

// reseal puts the right checksum on a damaged record, so that the fields
// themselves are looked at.
func reseal(b []byte) []byte {
	b = bytes.Clone(b[:len(b)-crcSize])
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func TestRecordResealed(t *testing.T) {
	for name, p := range sampleProfiles() {
		b := mustEncode(t, p)
		try := func(what string, damaged []byte) {
			p, err := DecodeProfile(reseal(damaged))
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) {
					t.Errorf("%s %s: got %v, want ErrCorrupt", name, what, err)
				}
				return
			}
			if again := mustEncode(t, p); !bytes.Equal(again, reseal(damaged)) {
				t.Errorf("%s %s: got %x, want %x", name, what, again, reseal(damaged))
			}
		}
		for i := range b {
			try(fmt.Sprint("cut at ", i), append(bytes.Clone(b[:i]), 0, 0, 0, 0))
			for bit := range 8 {
				flipped := bytes.Clone(b)
				flipped[i] ^= 1 << bit
				try(fmt.Sprint("flipped at ", i, bit), flipped)
			}
		}
		newer := bytes.Clone(b)
		newer[1] = recordVersion + 1
		if _, err := DecodeProfile(reseal(newer)); !errors.Is(err, ErrSchema) {
			t.Errorf("%s of a newer version: got %v, want ErrSchema", name, err)
		}
	}
}

// TestRefsReplaced compares with decoding and encoding again.
func TestRefsReplaced(t *testing.T) {
	for name, p := range sampleProfiles() {
		record := mustEncode(t, p)
		refs, err := readRefs(record)
		if err != nil || string(refs.id) != p.ID || refs.bank != p.Bank || refs.head != p.Head {
			t.Errorf("%s: got %+v, %v", name, refs, err)
		}
		for _, bank := range []uint32{p.Bank, 1, 127, 128, math.MaxUint32} {
			want := *p
			want.Bank = bank
			heads := []uint32{0}
			if p.Head != 0 {
				heads = []uint32{1, 1 << 14, p.Head}
			}
			for _, want.Head = range heads {
				if got := refs.replaced(record, want.Bank, want.Head); !bytes.Equal(got, mustEncode(t, &want)) {
					t.Errorf("%s: bank %d, head %d: got %x", name, want.Bank, want.Head, got)
				}
			}
		}
		for at := range record {
			flipped := bytes.Clone(record)
			flipped[at] ^= 1
			if _, err := readRefs(flipped); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: bit flipped at %d: got %v, want ErrCorrupt", name, at, err)
			}
			if _, err := readRefs(record[:at]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: cut at %d: got %v, want ErrCorrupt", name, at, err)
			}
		}
	}
}
