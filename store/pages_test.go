package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/store/internal/boltpages"
)

// bbolt's page format, as the tests damage it.
const (
	pageHeader   = 16
	bucketHeader = 16
	kindBranch   = 0x01
	kindLeaf     = 0x02
	kindMeta     = 0x04
)

var native = binary.NativeEndian

// soundPages returns a small store's file and what a walk over it has found.
func soundPages(t *testing.T) ([]byte, *boltpages.Walk) {
	t.Helper()
	dir := t.TempDir()
	damageTarget(t, dir)
	sound, err := os.ReadFile(filepath.Join(dir, "sound.db"))
	if err != nil {
		t.Fatal(err)
	}
	return sound, walked(t, filepath.Join(dir, "sound.db"))
}

func openDamaged(t *testing.T, sound []byte, damage func(b []byte)) (*Store, error) {
	t.Helper()
	b := bytes.Clone(sound)
	damage(b)
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return Open(path, with(Options{ReadOnly: true}))
}

// TestDamagedPages writes one fault into a sound file's pages and wants Open to
// name it.
func TestDamagedPages(t *testing.T) {
	sound, used := soundPages(t)
	m, branch := used.Meta, uint64(0)
	pageOf := func(id uint64) int { return int(id) * m.PageSize }
	for id := range m.High {
		if used.Used[id] && native.Uint16(sound[pageOf(id)+8:]) == kindBranch {
			branch = id
		}
	}
	first := pageOf(branch) + pageHeader
	for name, c := range map[string]struct {
		damage func(b []byte)
		want   string
	}{
		"loop":               {func(b []byte) { native.PutUint64(b[first+8:], branch) }, "used twice, or free"},
		"page that is free":  {func(b []byte) { native.PutUint64(b[first+8:], freePage(used)) }, "used twice, or free"},
		"page out of bounds": {func(b []byte) { native.PutUint64(b[first+8:], m.High) }, "there are"},
		"key out of bounds":  {func(b []byte) { native.PutUint32(b[first:], 1<<31) }, "out of bounds"},
		"no elements":        {func(b []byte) { native.PutUint16(b[pageOf(branch)+10:], 0) }, "branch of 0 elements"},
		"branch as a leaf":   {func(b []byte) { native.PutUint16(b[pageOf(branch)+8:], kindMeta) }, "kind 0x4"},
		"used page is free":  {func(b []byte) { native.PutUint64(b[pageOf(m.Freelist)+pageHeader:], branch) }, "used twice, or free"},
		"huge list of free": {func(b []byte) {
			native.PutUint16(b[pageOf(m.Freelist)+10:], 0xFFFF) // the first of the list is its length
			native.PutUint64(b[pageOf(m.Freelist)+pageHeader:], 1<<40)
		}, "the list of free pages"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openDamaged(t, sound, c.damage)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrCorrupt with %q", err, c.want)
			}
		})
	}
}

func freePage(w *boltpages.Walk) uint64 {
	for id, free := range w.Free {
		if free {
			return uint64(id)
		}
	}
	return 0
}

// TestCheckPages damages what no Get looks at, and what only a walk over all
// pages finds.
func TestCheckPages(t *testing.T) {
	sound, w := soundPages(t)
	at := func(id uint64) int { return int(id) * w.Meta.PageSize }
	for name, c := range map[string]struct {
		damage func(b []byte)
		want   string
	}{
		"page lost": {func(b []byte) {
			count := b[at(w.Meta.Freelist)+10:]
			native.PutUint16(count, native.Uint16(count)-1)
		}, "neither used nor free"},
		"meta page": {func(b []byte) { b[at((w.Meta.TxID+1)%2)+pageHeader+40] ^= 1 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := openDamaged(t, sound, c.damage)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			report, err := s.Check(ctx, false)
			if c.want == "" { // as a crash may leave it
				if err != nil || !report.TornMeta {
					t.Errorf("got %+v, %v, want TornMeta", report, err)
				}
				return
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrCorrupt with %q", err, c.want)
			}
		})
	}
}

// TestCheckEndless damages what bbolt would follow for ever, or out of a small
// bucket that it has copied to Go's memory: the kind of an empty bucket's only
// page, and the place of a key in such a page. Check and Compact leave it to the walk.
func TestCheckEndless(t *testing.T) {
	for name, c := range map[string]struct {
		bucket string
		at     int // in the bucket's page
		flip   byte
	}{
		"kind":  {"heads", 8, 4},
		"place": {"banks", pageHeader + 5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "xpeft.db")
			s, err := Create(path, testMeta, fast)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			must(s.PutBank(ctx, testBank))
			file := must(os.ReadFile(path))
			header := append([]byte(c.bucket), make([]byte, bucketHeader+8)...) // a root of 0, and then page 0
			at := bytes.LastIndex(file, append(header, kindLeaf, 0))
			if at < 0 {
				t.Fatalf("bucket %s has pages of its own: this test shows nothing", c.bucket)
			}
			for ; at >= 0; at = bytes.LastIndex(file[:at], append(header, kindLeaf, 0)) { // in older states too
				file[at+len(c.bucket)+bucketHeader+c.at] ^= c.flip
			}
			overwrite(t, path, file)
			if report, err := s.Check(ctx, true); !errors.Is(err, ErrCorrupt) || len(report.Problems) == 0 {
				t.Errorf("check: got %v %q, want ErrCorrupt", err, report.Problems)
			}
			if _, err := s.Compact(ctx); !errors.Is(err, ErrCorrupt) {
				t.Errorf("compact: got %v, want ErrCorrupt", err)
			}
		})
	}
}
