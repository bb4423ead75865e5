package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/bundle"

	"github.com/xpeft/xpeft/store/internal/format"
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
	s, err := Create(filepath.Join(dir, "store.db"), testMeta, with(Options{}))
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
	w := Write{State: []byte("state"), Append: []Example{{Text: "text", Pair: "pair", Label: "label"}, {Text: "ü"}},
		Person: func(p *Person) { p.Private, p.Notes = true, []byte("notes") }}
	fill(second(s.Put(ctx, p, w)))
	fill(second(s.Put(ctx, p, Write{})))
	fill(second(s.PutBank(ctx, BankInfo{Digest: Digest{8}, N: 38, Blocks: 1})))
	fill(second(s.PutBank(ctx, BankInfo{Digest: Digest{9}, N: 16, Blocks: 1})))
	fill(second(s.Put(ctx, goldenCoded(), w)))
	p.ID, p.OwnHead, p.Head = "carl", nil, head
	fill(second(s.Put(ctx, p, w)))
	var full, since bytes.Buffer
	report, err := s.Backup(ctx, &full, nil)
	fill(err)
	fill(s.Delete(ctx, "carl"))
	p.ID = "böb"
	fill(second(s.Put(ctx, p, Write{})))
	fill(second(s.Backup(ctx, &since, &BackupOptions{Since: report.Revision})))
	var bundle bytes.Buffer
	fill(second(s.Export(ctx, &bundle, everything)))
	fill(s.Close())
	db, err := os.ReadFile(s.Path())
	fill(err)
	z, err := zstd.NewWriter(nil)
	fill(err)
	fill(os.WriteFile(filepath.Join("testdata", "store-v8.db.zst"), z.EncodeAll(db, nil), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "bundle-v5.bin"), bundle.Bytes(), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "backup-v2-schema8.bin"), full.Bytes(), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "backup-v2-schema8-since.bin"), since.Bytes(), 0o644))
	fill(os.WriteFile(filepath.Join("testdata", "record-v3.bin"), mustEncode(t, codedProfile()), 0o644))
}

// goldenCoded is the profile with codes, of the files that have one.
func goldenCoded() *Profile {
	p := codedProfile()
	p.ID, p.Bank, p.Head, p.Codes[0].Bank, p.Codes[1].Bank = "dora", 1, 1, 2, 3
	return p
}

// checkGoldenCoded says that a store has the profile with codes, or has not.
func checkGoldenCoded(t *testing.T, s *Store, has bool) {
	t.Helper()
	p, err := s.Get("dora")
	if !has {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, %v, want no profile with codes", p, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := diffProfile(p, goldenCoded()); diff != "" {
		t.Error(diff)
	}
}

func checkGolden(t *testing.T, s *Store) {
	t.Helper()
	got := contents(t, s)
	delete(got, "dora") // checkGoldenCoded
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
	if diff := cmp.Diff(want, said(anna.Examples)); diff != "" || string(anna.State) != "state" || anna.Profile.Revision != 2 {
		t.Errorf("got revision %d, state %q, examples %s", anna.Profile.Revision, anna.State, diff)
	}
	checkCohorts(t, s)
}

// goldenFile unpacks a file of testdata.
func goldenFile(t *testing.T, name string) (path string) {
	t.Helper()
	compressed, err := os.ReadFile(filepath.Join("testdata", name))
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
	path = filepath.Join(t.TempDir(), "xpeft.db")
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// openGolden opens an unpacked file and checks it; summed is what Check should
// say of it.
func openGolden(t *testing.T, path string, o Options, summed bool) *Store {
	t.Helper()
	s, err := Open(path, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if r, err := s.Check(ctx, true); err != nil || r.Summed != summed {
		t.Errorf("got summed %t, %v %q, want %t and no problem", r.Summed, err, r.Problems, summed)
	}
	return s
}

// TestGoldenStore opens a store of every version: as a reader, which finds no
// sums in an old one, then as a writer, which upgrades it, then again.
func TestGoldenStore(t *testing.T) {
	for name, old := range map[string]bool{"store-v1.db.zst": true, "store-v3.db.zst": false, "store-v5.db.zst": false, "store-v7.db.zst": false, "store-v8.db.zst": false} {
		t.Run(name, func(t *testing.T) {
			path := goldenFile(t, name)
			for i, o := range []*Options{with(Options{ReadOnly: true}), fast, with(Options{ReadOnly: true})} {
				s := openGolden(t, path, *o, !old || i > 0)
				checkGoldenStore(t, s)
				checkGoldenPerson(t, s, name < "store-v5")
				checkGoldenCoded(t, s, name >= "store-v8")
				if want := format.Schema; i > 0 && s.Meta().Schema != want {
					t.Errorf("got schema %d, want %d", s.Meta().Schema, want)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// checkGoldenStore is checkGolden, and what no bundle has.
func checkGoldenStore(t *testing.T, s *Store) {
	t.Helper()
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

// TestGoldenImport opens a store that was killed in an import by the version
// before the sums: nothing of the import is left.
func TestGoldenImport(t *testing.T) {
	path := goldenFile(t, "store-v2.db.zst")
	s := openGolden(t, path, Options{ReadOnly: true}, false)
	if got := s.Meta().Schema; got != format.SchemaUnsummedStaging {
		t.Fatalf("got schema %d, want %d: the file is not what it is called", got, format.SchemaUnsummedStaging)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openGolden(t, path, Options{NoSync: true}, true)
	if v, err := s.GetMeta("key"); string(v) != "value" || err != nil || len(contents(t, s)) != 0 {
		t.Errorf("got value %q, %v and %d profiles, want %q and none", v, err, len(contents(t, s)), "value")
	}
	if err := s.db.Load().View(func(tx *bolt.Tx) error { return wantSchema(tx, format.Schema) }); err != nil {
		t.Error(err)
	}
}

// upgraded is the transaction that upgrades a file, alone.
func upgraded(t *testing.T, name string) written {
	t.Helper()
	path := goldenFile(t, name)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opts, err := fast.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	f, err := openPages(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{path: path, opts: opts, rules: cohortRules{headLabels: opts.HeadLabels}, writer: make(turn, 1)}
	s.use(f)
	if err := errors.Join(s.readStart(), s.upgrade(), s.closePages()); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := compared(t, written{before: before, after: after})
	w.old = contents(t, openGolden(t, path, Options{ReadOnly: true}, true))
	w.new = w.old
	return w
}

// TestUpgradeCutShort loses power in the upgrade: the file is the old one or
// the new one, and is upgraded then.
func TestUpgradeCutShort(t *testing.T) {
	if testKey != nil {
		t.Skip("the files are not encrypted")
	}
	for _, name := range []string{"store-v1.db.zst", "store-v2.db.zst", "store-v3.db.zst", "store-v5.db.zst", "store-v7.db.zst"} {
		upgraded(t, name).eachImage(t, func(path, what string, want map[string]content) {
			if diff := stateOf(t, path, want); diff != "" {
				t.Errorf("%s, %s: %s", name, what, diff)
			}
			s := openGolden(t, path, Options{ReadOnly: true}, true)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestGoldenBundle(t *testing.T) {
	for name, old := range map[string]bool{"bundle-v1.bin": true, "bundle-v3.bin": false, "bundle-v5.bin": false} {
		bundle, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		s := newStore(t, fast)
		if _, err := s.Import(ctx, bytes.NewReader(bundle), allBanks); err != nil {
			t.Fatal(err)
		}
		checkGolden(t, s)
		checkGoldenCoded(t, s, name >= "bundle-v5")
		checkGoldenPerson(t, s, old)
		if got, want := framesOf(t, export(t, s, everything)), framesOf(t, bundle); !old && !bytes.Equal(got, want) {
			t.Errorf("%s: got frames of %d bytes, want the same %d", name, len(got), len(want))
		}
	}
}

// checkGoldenPerson: what older files have learned from waits no more, and
// newer ones say it.
func checkGoldenPerson(t *testing.T, s *Store, old bool) {
	t.Helper()
	want := Person{Private: true, Notes: []byte("notes"), Waiting: 2}
	if old {
		want = Person{}
	}
	got, err := s.Person("anna@example.org")
	got.next, got.learned = 0, 0
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Person{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// framesOf is what a bundle is before it is compressed, which is up to zstd.
func framesOf(t *testing.T, data []byte) []byte {
	t.Helper()
	r, err := bundle.NewReader(bytes.NewReader(data), bundleFormat, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	frames, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return frames
}

func TestGoldenBackup(t *testing.T) {
	for _, names := range [][]string{{"backup-v1.bin"}, {"backup-v1-schema5.bin"}, {"backup-v2.bin", "backup-v2-since.bin"}, {"backup-v2-schema8.bin", "backup-v2-schema8-since.bin"}} {
		t.Run(names[0], func(t *testing.T) { testGoldenBackup(t, names) })
	}
}

func testGoldenBackup(t *testing.T, names []string) {
	var backups [][]byte
	for _, name := range names {
		backups = append(backups, goldenBytes(t, name))
	}
	verified, err := Verify(ctx, nil, readers(backups)...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "xpeft.db")
	if restored, err := Restore(ctx, path, nil, readers(backups)...); err != nil || restored != verified {
		t.Fatalf("got %+v, %v, want %+v", restored, err, verified)
	}
	s, err := Open(path, &Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(names) > 1 {
		checkGoldenStore(t, s)
		checkGoldenPerson(t, s, false)
	}
	checkGolden(t, s)
	checkGoldenCoded(t, s, strings.Contains(names[0], "schema8"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func goldenBytes(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
