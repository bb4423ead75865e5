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
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/store/internal/format"
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

// testCode has rows of k bits for labels, of which no two are the same.
func testCode(bank uint32, k int, labels ...uint32) Code {
	c := Code{Bank: bank, K: k, Labels: labels}
	for i, label := range labels {
		c.Scales = append(c.Scales, 1+byte((159+label)%255))
		row := make(bitmask.Row, bitmask.RowBytes(k))
		for j := range k {
			if (int(label)+2)*(j+1)*(i+3)%7 < 3 {
				row.Set(j)
			}
		}
		c.Rows = append(c.Rows, row...)
	}
	return c
}

// codedProfile is fullProfile with codes; it is the same in every version of the tests.
func codedProfile() *Profile {
	p := fullProfile()
	p.OwnHead, p.Head, p.Temperature = nil, 3, 131
	p.Codes = []Code{testCode(5, 19, 0, 1, 70), testCode(4, 8, 2)}
	return p
}

func sampleProfiles() map[string]*Profile {
	mask := randomMask(rand.New(rand.NewPCG(3, 4)), 9, 3, 1)
	return map[string]*Profile{
		"full":   fullProfile(),
		"bare":   {ID: "a", Mask: mask},
		"shared": {ID: "ü", Bank: math.MaxUint32, Head: math.MaxUint32, Revision: math.MaxUint64, Mask: mask},
		"rows": {ID: "r", Bank: 1, Head: 200, Revision: 1, Mask: mask, OwnHead: []byte("rows beside a head"),
			Prior: []uint32{1, 0, 2}},
		"before":  {ID: "b", Mask: mask, Created: time.Unix(-9, 0).UTC(), Updated: time.Unix(-10, 0).UTC()},
		"updated": {ID: "b", Mask: mask, Updated: time.Unix(-10, 0).UTC(), After: 1},

		"coded": codedProfile(),
		"codes": {ID: "c", Head: 1,
			Codes: []Code{testCode(1, 9, 1), testCode(math.MaxUint32, 1, 0, 1, format.MaxLabel-1)}, Temperature: 255},
		"code":     {ID: "c", OwnHead: []byte("own"), Codes: []Code{testCode(0, 16, 0, 1, 2, 3)}, Bias: []byte{1}},
		"neither":  {ID: "n", Head: 1, Prior: []uint32{1, 2}},
		"tempered": {ID: "t", Mask: mask, Temperature: 1},
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
			masks := cmp.Comparer((*bitmask.Mask).Equal)
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
	for name, p := range map[string]*Profile{"record-v1.bin": fullProfile(), "record-v2.bin": rows,
		"record-v3.bin": codedProfile()} {
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

// TestRecordVersions: who reads version 1 only must not take rows for a head, and nobody a version
// for the other.
func TestRecordVersions(t *testing.T) {
	later := map[string]byte{"rows": format.RecordRows, "coded": format.RecordVersion, "codes": format.RecordVersion,
		"code": format.RecordVersion, "neither": format.RecordVersion, "tempered": format.RecordVersion}
	for name, p := range sampleProfiles() {
		b := mustEncode(t, p)
		want := max(later[name], format.RecordPlain)
		if b[1] != want {
			t.Errorf("%s: got version %d, want %d", name, b[1], want)
		}
		for b[1] = format.RecordPlain; b[1] <= format.RecordVersion; b[1]++ {
			if _, err := DecodeProfile(reseal(b)); b[1] != want && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s as version %d: got %v, want ErrCorrupt", name, b[1], err)
			}
		}
	}
	// A version 3 of what needs none.
	plain := mustEncode(t, &Profile{ID: "t", Mask: sampleProfiles()["bare"].Mask, Temperature: 1})
	plain[bytes.LastIndexByte(plain[:len(plain)-format.SumSize], 1)] = 0
	if _, err := DecodeProfile(reseal(plain)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("without a temperature: got %v, want ErrCorrupt", err)
	}
}

// TestCodeRefused has each of the ways in which a code can be wrong, by itself and in a record.
func TestCodeRefused(t *testing.T) {
	for name, change := range map[string]func(p *Profile){
		"no labels":          func(p *Profile) { p.Codes[0] = Code{Bank: 1, K: 9} },
		"K is 0":             func(p *Profile) { p.Codes[0].K, p.Codes[0].Rows = 0, nil },
		"K is negative":      func(p *Profile) { p.Codes[0].K = -9 },
		"K is too large":     func(p *Profile) { p.Codes[0].K = bitmask.MaxAdapters/2 + 1 },
		"K overflows":        func(p *Profile) { p.Codes[0].K, p.Codes[0].Rows = math.MaxInt-7, nil },
		"short rows":         func(p *Profile) { p.Codes[0].Rows = p.Codes[0].Rows[1:] },
		"a scale more":       func(p *Profile) { p.Codes[0].Scales = append(p.Codes[0].Scales, 1) },
		"a scale of 0":       func(p *Profile) { p.Codes[0].Scales[1] = 0 },
		"padding":            func(p *Profile) { p.Codes[0].Rows[3] |= 2 },
		"labels descend":     func(p *Profile) { p.Codes[0].Labels = []uint32{2, 1} },
		"a label twice":      func(p *Profile) { p.Codes[0].Labels = []uint32{2, 2} },
		"a label too large":  func(p *Profile) { p.Codes[0].Labels = []uint32{2, format.MaxLabel} },
		"one bank for two":   func(p *Profile) { p.Codes = append(p.Codes, testCode(1, 3, 1)) },
		"three codes":        func(p *Profile) { p.Codes = append(p.Codes, testCode(2, 3, 1), testCode(3, 3, 1)) },
		"a bank and no mask": func(p *Profile) { p.Bank = 1 },
	} {
		p := &Profile{ID: "c", Codes: []Code{testCode(1, 9, 1, 2)}}
		mustEncode(t, p)
		change(p)
		if b, err := EncodeProfile(p); err == nil {
			t.Errorf("%s: got %x, want an error", name, b)
		}
		if len(p.Codes) > format.MaxCodes || p.Bank != 0 || p.Codes[0].K < 0 {
			continue // there is no writing that
		}
		b := format.AppendBytes([]byte{'P', format.RecordVersion, byte(len(p.Codes) << 6)}, p.ID)
		b = format.AppendRefs(append(b, 0), false, p.banks(), 0)
		for i := range p.Codes {
			b = format.AppendCode(b, &p.Codes[i])
		}
		if _, err := DecodeProfile(reseal(append(b, make([]byte, 4+format.SumSize)...))); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", name, err)
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

// TestCodedSize is of what a person with three labels takes: three rows of 384 bits and their
// scales are 147 bytes.
func TestCodedSize(t *testing.T) {
	p := &Profile{
		ID: "u", Head: 1, Revision: 3, Examples: 40, Before: 0.5, After: 0.75, Prior: []uint32{20, 10, 10},
		Bias:  make([]byte, 7),
		Codes: []Code{testCode(1, 384, 0, 1, 2)}, Temperature: 120,
		Created: time.Now(), Updated: time.Now().Add(24 * time.Hour),
	}
	record := len(mustEncode(t, p))
	t.Logf("code %d B and 3 scales, record %d B", p.MaskBytes(), record)
	if p.MaskBytes() != 144 || record > 147+56 {
		t.Errorf("got rows of %d, record %d, want 144 and at most %d", p.MaskBytes(), record, 147+56)
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
	b = bytes.Clone(b[:len(b)-format.SumSize])
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, format.Castagnoli))
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
		newer[1] = format.RecordVersion + 1
		if _, err := DecodeProfile(reseal(newer)); !errors.Is(err, ErrSchema) {
			t.Errorf("%s of a newer version: got %v, want ErrSchema", name, err)
		}
	}
}

// TestRefsReplaced compares with decoding and encoding again.
func TestRefsReplaced(t *testing.T) {
	for name, p := range sampleProfiles() {
		record := mustEncode(t, p)
		refs, err := format.ReadRefs(record)
		if err != nil || string(refs.ID) != p.ID || !slices.Equal(refs.Banks, p.banks()) || refs.Head != p.Head {
			t.Errorf("%s: got %+v, %v", name, refs, err)
		}
		for _, bank := range []uint32{p.Bank, 1, 127, 128, math.MaxUint32} {
			want := *p
			want.Codes = slices.Clone(p.Codes)
			if p.Mask != nil {
				want.Bank = bank
			}
			for i := range p.Codes {
				want.Codes[i].Bank = bank>>1 + uint32(i)
			}
			heads := []uint32{0}
			if p.Head != 0 {
				heads = []uint32{1, 1 << 14, p.Head}
			}
			for _, want.Head = range heads {
				if got := refs.Replaced(record, want.banks(), want.Head); !bytes.Equal(got, mustEncode(t, &want)) {
					t.Errorf("%s: bank %d, head %d: got %x", name, want.Bank, want.Head, got)
				}
			}
		}
		for at := range record {
			flipped := bytes.Clone(record)
			flipped[at] ^= 1
			if _, err := format.ReadRefs(flipped); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: bit flipped at %d: got %v, want ErrCorrupt", name, at, err)
			}
			if _, err := format.ReadRefs(record[:at]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: cut at %d: got %v, want ErrCorrupt", name, at, err)
			}
		}
	}
}
