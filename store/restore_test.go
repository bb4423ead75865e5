package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/xpeft/xpeft/store/internal/bundle"
	"github.com/xpeft/xpeft/store/internal/format"
)

// TestBackupDamaged cuts a backup at every byte and flips one in each.
func TestBackupDamaged(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 2)
	full, report := backUp(t, s, 0)
	secrets(t, s, 3)
	since, _ := backUp(t, s, report.Revision)
	refused := func(what string, at int, backups ...[]byte) {
		t.Helper()
		_, err := Verify(ctx, nil, readers(backups)...)
		if at%97 == 0 {
			_, err = restored(t, backups...)
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrSchema) {
			t.Fatalf("%s at %d: got %v, want ErrCorrupt", what, at, err)
		}
	}
	for i, b := range [][]byte{full, since} {
		chain := [][]byte{full, since}[:i]
		for at := range b {
			flipped := bytes.Clone(b)
			flipped[at] ^= 1 << (at % 8)
			refused("cut", at, append(slices.Clip(chain), b[:at])...)
			refused("flip", at, append(slices.Clip(chain), flipped)...)
		}
		refused("tail", 0, append(slices.Clip(chain), append(slices.Clip(b), 0))...)
	}
	if _, err := restored(t, full, since); err != nil {
		t.Error(err)
	}
}

// TestRestoreWrongChain gives backups that do not build on each other.
func TestRestoreWrongChain(t *testing.T) {
	s, other := newStore(t, fast), newStore(t, fast)
	secrets(t, other, 5)
	theirs, _ := backUp(t, other, 0)
	step := func(since uint64) ([]byte, uint64) {
		secrets(t, s, 5)
		b, report := backUp(t, s, since)
		return b, report.Revision
	}
	full, at := step(0)
	first, next := step(at)
	second, _ := step(next)
	for name, c := range map[string]struct {
		chain [][]byte
		want  error
	}{
		"none":             {nil, ErrMismatch},
		"without a full":   {[][]byte{first}, ErrMismatch},
		"missing link":     {[][]byte{full, second}, ErrMismatch},
		"wrong order":      {[][]byte{full, second, first}, ErrMismatch},
		"one twice":        {[][]byte{full, first, first}, ErrMismatch},
		"two full":         {[][]byte{full, theirs}, ErrMismatch},
		"another's":        {[][]byte{theirs, first}, ErrMismatch},
		"a bundle":         {[][]byte{export(t, s, everything)}, ErrCorrupt},
		"all in order":     {[][]byte{full, first, second}, nil},
		"only the first":   {[][]byte{full, first}, nil},
		"the full one":     {[][]byte{full}, nil},
		"empty":            {[][]byte{{}}, ErrCorrupt},
		"an empty link":    {[][]byte{full, {}}, ErrCorrupt},
		"a newer version":  {[][]byte{append([]byte("XPEFTA\x03\x00"), full[8:]...)}, ErrSchema},
		"version 0":        {[][]byte{append([]byte("XPEFTA\x00\x00"), full[8:]...)}, ErrCorrupt},
		"full after links": {[][]byte{full, first, full}, ErrMismatch},
	} {
		if _, err := restored(t, c.chain...); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if _, err := Restore(ctx, s.Path(), nil, bytes.NewReader(full)); !errors.Is(err, ErrExists) {
		t.Errorf("over a store: got %v, want ErrExists", err)
	}
	if _, err := Verify(ctx, &RestoreOptions{MaxBytes: 1000}, bytes.NewReader(full)); !errors.Is(err, ErrLimit) {
		t.Errorf("a limit: got %v, want ErrLimit", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Verify(gone, nil, bytes.NewReader(full)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// rawFrame is a frame of a backup.
type rawFrame struct {
	kind    byte
	payload []byte
}

// tampered is a backup whose frames were changed, with the right checksums.
func tampered(t *testing.T, backup []byte, change func(frames []rawFrame) []rawFrame) []byte {
	t.Helper()
	r, err := bundle.NewReader(bytes.NewReader(backup), backupFormat, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var frames []rawFrame
	for len(frames) == 0 || frames[len(frames)-1].kind != backupFrameEnd {
		kind, payload, err := r.Frame(maxBackupFrame)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, rawFrame{kind, bytes.Clone(payload)})
	}
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, backupFormat, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change(frames) {
		if err := w.Frame(f.kind, f.payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestRestoreInconsistent has backups whose checksums are right, and whose pairs
// are not of one store.
func TestRestoreInconsistent(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 3)
	must(s.Put(ctx, randomProfile(newRand(t), "person0001"), Write{State: []byte("state")}))
	full, report := backUp(t, s, 0)
	must(s.Put(ctx, randomProfile(newRand(t), "person0002"), Write{}))
	since, _ := backUp(t, s, report.Revision)
	// of changes the pairs of a bucket.
	of := func(tag byte, change func(pairs [][2][]byte) [][2][]byte) func([]rawFrame) []rawFrame {
		return func(frames []rawFrame) []rawFrame {
			for i, f := range frames {
				if f.kind != backupFramePairs || f.payload[0] != tag {
					continue
				}
				var pairs [][2][]byte
				for d := (&format.Decoder{B: f.payload[1:]}); len(d.B) > 0; {
					pairs = append(pairs, [2][]byte{d.Bytes(1<<20, ""), d.Bytes(1<<20, "")})
				}
				end := &frames[len(frames)-1]
				e, err := decodeBackupEnd(backupVersion, end.payload)
				if err != nil {
					t.Fatal(err)
				}
				e.pairs -= uint64(len(pairs))
				pairs = change(pairs)
				e.pairs += uint64(len(pairs))
				end.payload, frames[i].payload = e.encode(), []byte{tag}
				for _, p := range pairs {
					frames[i].payload = format.AppendBytes(format.AppendBytes(frames[i].payload, p[0]), p[1])
				}
			}
			return frames
		}
	}
	first := func(pairs [][2][]byte) [][2][]byte { return pairs[:1] }
	none := func(pairs [][2][]byte) [][2][]byte { return nil }
	swapped := func(pairs [][2][]byte) [][2][]byte {
		pairs[0], pairs[1] = pairs[1], pairs[0]
		return pairs
	}
	exchanged := func(pairs [][2][]byte) [][2][]byte {
		pairs[0][1], pairs[1][1] = pairs[1][1], pairs[0][1]
		return pairs
	}
	twice := func(pairs [][2][]byte) [][2][]byte {
		pairs[0][1] = pairs[1][1]
		return pairs
	}
	sets := func(live, carried []uint32) func([]rawFrame) []rawFrame {
		return func(frames []rawFrame) []rawFrame {
			b := format.AppendBytes(nil, encodeSet(roaring.BitmapOf(live...)))
			frames[1].payload = format.AppendBytes(b, encodeSet(roaring.BitmapOf(carried...)))
			return frames
		}
	}
	cases := map[string]func([]rawFrame) []rawFrame{
		"nothing changed":        nil,
		"an id too few":          of(tagID, first),
		"a record too few":       of(format.TagRecord, first),
		"pairs out of order":     of(tagID, swapped),
		"two ids of one number":  of(tagID, twice),
		"a frame without a pair": of(format.TagValue, none),
		"buckets out of order":   func(fs []rawFrame) []rawFrame { fs[2], fs[3] = fs[3], fs[2]; return fs },
		"no sets":                func(fs []rawFrame) []rawFrame { return append(fs[:1:1], fs[2:]...) },
		"sets twice":             func(fs []rawFrame) []rawFrame { return append([]rawFrame{fs[0], fs[1], fs[1]}, fs[2:]...) },
		"a header twice":         func(fs []rawFrame) []rawFrame { return append([]rawFrame{fs[0], fs[0]}, fs[1:]...) },
		"no bank":                func(fs []rawFrame) []rawFrame { return append(fs[:2:2], fs[3:]...) },
		"number 0":               sets([]uint32{0, 1, 2, 3}, []uint32{0, 1, 2, 3}),
		"one that is not in it":  sets([]uint32{1, 2, 3, 4}, []uint32{1, 2, 3}),
		"one that there is not":  sets([]uint32{1, 2}, []uint32{1, 2, 3}),
		"a file of keys in it": func(fs []rawFrame) []rawFrame {
			return append(fs[:2:2], append([]rawFrame{{backupFrameKeys, append(make([]byte, 32), 0)}}, fs[2:]...)...)
		},
		"a frame of pages": func(fs []rawFrame) []rawFrame {
			return append(fs[:2:2], append([]rawFrame{{backupFramePages, []byte{0}}}, fs[2:]...)...)
		},
		"an unknown bucket":       func(fs []rawFrame) []rawFrame { fs[2].payload[0] = 'x'; return fs },
		"one more than is said":   func(fs []rawFrame) []rawFrame { fs[len(fs)-1].payload[0]++; return fs },
		"ids of others' records":  of(tagID, exchanged),
		"a record of another":     of(format.TagRecord, exchanged),
		"state of no profile":     of(format.TagState, func(p [][2][]byte) [][2][]byte { p[0][0] = format.Key(77); return p }),
		"a value that is not one": of(format.TagExample, func(p [][2][]byte) [][2][]byte { p[0][1] = []byte("?"); return p }),
	}
	if testKey != nil { // which only the key would tell
		delete(cases, "ids of others' records")
		delete(cases, "a record of another")
		cases["a key too few"] = of(tagKey, first)
		cases["a key that is damaged"] = of(tagKey, func(p [][2][]byte) [][2][]byte { p[0][1][5] ^= 1; return p })
		cases["another header of keys"] = func(fs []rawFrame) []rawFrame {
			at := bytes.Index(fs[0].payload, []byte("XPEFTKEY"))
			fs[0].payload[at+40] ^= 1
			return fs
		}
	}
	for name, change := range cases {
		if change == nil {
			change = func(fs []rawFrame) []rawFrame { return fs }
		}
		want := ErrCorrupt
		if name == "nothing changed" || name == "a frame without a pair" { // there is none of values
			want = nil
		}
		if _, err := restored(t, tampered(t, full, change)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
	}
	for name, change := range map[string]func([]rawFrame) []rawFrame{
		"one that is in neither": sets([]uint32{1, 2, 3, 9}, []uint32{3}),
		"a bank comes again": func(fs []rawFrame) []rawFrame {
			var bank rawFrame
			tampered(t, full, func(of []rawFrame) []rawFrame { bank = of[2]; return of })
			return append([]rawFrame{fs[0], fs[1], bank}, fs[2:]...)
		},
		"another of the same": of(tagID, func(p [][2][]byte) [][2][]byte { p[0][0] = []byte("person0001"); return p }),
	} {
		if _, err := restored(t, full, tampered(t, since, change)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("since, %s: got %v, want ErrCorrupt", name, err)
		}
	}
	if _, err := restored(t, full, since); err != nil {
		t.Error(err)
	}
}
