package store

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// The files of every version stay in testdata for ever: what was written once
// is read by all later versions.

// goldenIDs are the profiles in the store and the bundle of version 1.
var goldenIDs = []string{"anna@example.org", "böb"}

// TestWriteFiles writes the files of a new version, once:
// XPEFT_MAKE_GOLDEN=1 go test -run TestWriteFiles ./store
func TestWriteFiles(t *testing.T) {
	if os.Getenv("XPEFT_MAKE_GOLDEN") == "" {
		t.Skip("writes testdata; set XPEFT_MAKE_GOLDEN for a new version of a format")
	}
	dir := t.TempDir()
	s, err := Create(filepath.Join(dir, "store.db"), testMeta, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(second(s.PutBank(ctx, testBank)))
	head, _, err := s.PutHead(ctx, []byte("a shared head"))
	fill(err)
	fill(s.SetHeadName(ctx, "default", head))
	fill(s.PutMeta(ctx, "key", []byte("value")))
	p := fullProfile()
	p.Bank = 1
	w := Write{State: []byte("state"), Append: []Example{{Text: "text", Pair: "pair", Label: "label"}, {Text: "ü"}}}
	fill(second(s.Put(ctx, p, w)))
	fill(second(s.Put(ctx, p, Write{})))
	p.ID, p.OwnHead, p.Head = "böb", nil, head
	fill(second(s.Put(ctx, p, Write{})))
	var bundle bytes.Buffer
	fill(second(s.Export(ctx, &bundle, everything)))
	var backup bytes.Buffer
	fill(second(s.Backup(ctx, &backup, nil)))
	fill(s.Close())
	db, err := os.ReadFile(s.Path())
	fill(err)
	z, err := zstd.NewWriter(nil)
	fill(err)
	fill(os.WriteFile(filepath.Join("testdata", "store-v1.db.zst"), z.EncodeAll(db, nil), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "bundle-v1.bin"), bundle.Bytes(), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "backup-v1.bin"), backup.Bytes(), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "record-v1.bin"), mustEncode(t, fullProfile()), 0o644))
}

func checkGolden(t *testing.T, s *Store) {
	t.Helper()
	got := contents(t, s)
	if len(got) != len(goldenIDs) {
		t.Errorf("got %d profiles, want %d", len(got), len(goldenIDs))
	}
	for _, id := range goldenIDs {
		want := fullProfile()
		want.ID, want.Bank = id, 1
		if id == "böb" {
			want.OwnHead = nil
			if head := string(got[id].Head); head != "a shared head" {
				t.Errorf("got head %q, want %q", head, "a shared head")
			}
		}
		p := got[id].Profile
		if p == nil {
			t.Fatalf("no profile %q", id)
		}
		if diff := diffProfile(p, want); diff != "" {
			t.Error(diff)
		}
		if !p.Created.Equal(want.Created) || p.Updated.Before(want.Updated) {
			t.Errorf("got created %v, updated %v, want %v and later", p.Created, p.Updated, want.Created)
		}
	}
	anna := got["anna@example.org"]
	want := []Example{{Text: "text", Pair: "pair", Label: "label"}, {Text: "ü"}}
	if diff := cmp.Diff(want, anna.Examples); diff != "" || string(anna.State) != "state" || anna.Profile.Revision != 2 {
		t.Errorf("got revision %d, state %q, examples %s", anna.Profile.Revision, anna.State, diff)
	}
	checkQueries(t, s, 1, 0, 7)
}

func TestGoldenStore(t *testing.T) {
	compressed, err := os.ReadFile(filepath.Join("testdata", "store-v1.db.zst"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	db, err := z.DecodeAll(compressed, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "xpeft.db")
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, s) })
	checkGolden(t, s)
	if history, err := s.History("anna@example.org"); len(history) != 1 || err != nil {
		t.Errorf("got %d revisions, %v, want 1", len(history), err)
	}
	if v, err := s.GetMeta("key"); string(v) != "value" || err != nil {
		t.Errorf("got value %q, %v, want %q", v, err, "value")
	}
	if ref, err := s.HeadByName("default"); ref != 1 || err != nil {
		t.Errorf("got head %d, %v, want 1", ref, err)
	}
}

func TestGoldenBundle(t *testing.T) {
	bundle, err := os.ReadFile(filepath.Join("testdata", "bundle-v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, fast)
	if _, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	checkGolden(t, s)
	if got, want := framesOf(t, export(t, s, everything)), framesOf(t, bundle); !bytes.Equal(got, want) {
		t.Errorf("got frames of %d bytes, want the same %d", len(got), len(want))
	}
}

// framesOf is what a bundle is before it is compressed, which is up to zstd.
func framesOf(t *testing.T, bundle []byte) []byte {
	t.Helper()
	chunks, err := newChunkReader(bytes.NewReader(bundle))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(chunks)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	frames, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

func TestGoldenBackup(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "backup-v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "xpeft.db")
	if _, err := Restore(ctx, path, nil, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, &Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
