package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/xpeft/xpeft/store/internal/keyring"

	"github.com/xpeft/xpeft/store/internal/format"
)

// snapshot is all that a store answers.
func snapshot(t *testing.T, s *Store) map[string]any {
	t.Helper()
	all := map[string]any{"revision": must(s.Revision())}
	for id, c := range contents(t, s) {
		all[id] = c
		all[id+" earlier"] = must(s.History(id))
	}
	return all
}

// restored makes a store of backups, and returns what it answers.
func restored(t *testing.T, backups ...[]byte) (map[string]any, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "xpeft.db")
	verified, verr := Verify(ctx, nil, readers(backups)...)
	report, err := Restore(ctx, path, nil, readers(backups)...)
	if (verr == nil) != (err == nil) || verified != report {
		t.Errorf("verify: got %+v, %v, restore: %+v, %v", verified, verr, report, err)
	}
	if err != nil {
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
			t.Errorf("got %v left after %v, want nothing", left, err)
		}
		return nil, err
	}
	s, err := Open(path, with(Options{ReadOnly: true}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if check, err := s.Check(ctx, true); err != nil {
		t.Errorf("%v %v", err, check.Problems)
	}
	if revision := must(s.Revision()); revision != report.Revision {
		t.Errorf("got revision %d, want %d", revision, report.Revision)
	}
	return snapshot(t, s), nil
}

func isZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

func readers(backups [][]byte) (rs []io.Reader) {
	for _, b := range backups {
		rs = append(rs, bytes.NewReader(b))
	}
	return rs
}

func backUp(t *testing.T, s *Store, since uint64) ([]byte, BackupReport) {
	t.Helper()
	var b bytes.Buffer
	report, err := s.Backup(ctx, &b, &BackupOptions{Since: since})
	if err != nil {
		t.Fatal(err)
	}
	if report.Bytes != int64(b.Len()) || report.Since != since || !report.Base {
		t.Errorf("got %+v of %d bytes since %d", report, b.Len(), since)
	}
	return b.Bytes(), report
}

// TestBackupChains changes a store at random, makes backups in between, full
// and since any earlier one, and restores each with those that it builds on.
func TestBackupChains(t *testing.T) {
	type taken struct {
		chain [][]byte
		want  map[string]any
	}
	r := newRand(t)
	s := newStore(t, with(Options{NoSync: true, History: 2, MaxExamples: 4}))
	all := map[uint64]taken{}
	var revisions []uint64
	for i := range 40 {
		for range r.IntN(30) {
			o := randomOp(r.IntN(2))
			if o.kind == "import" || o.kind == "backup" {
				continue
			}
			if _, err := o.run(s, nil); err != nil {
				t.Fatal(err)
			}
		}
		since := uint64(0)
		if n := len(revisions); n > 0 && r.IntN(5) > 0 {
			since = revisions[n-1-r.IntN(min(n, keptBases))]
		}
		want := snapshot(t, s)
		b, report := backUp(t, s, since)
		want["revision"] = report.Revision // its epoch is one more
		chain := append(slices.Clip(all[since].chain), b)
		revisions = append(revisions, report.Revision)
		all[report.Revision] = taken{chain, want}
		got, err := restored(t, chain...)
		if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
			t.Fatalf("backup %d, %d links: %v\n%s", i, len(chain), err, diff)
		}
	}
}

// TestBackupBesideWriters makes a full backup and some since it while profiles
// are put, deleted and compacted away. Each restores to whole profiles, and the
// last one, once nobody writes, to all.
func TestBackupBesideWriters(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	secrets(t, s, 200)
	stop, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	for range 3 {
		seed := r.Uint64()
		workers.Add(1)
		go func() {
			defer workers.Done()
			for r := rand.New(rand.NewPCG(seed, 0)); stop.Err() == nil; {
				p, w := marked(r, fmt.Sprint("user", r.IntN(40)))
				err := second(s.Put(ctx, p, w))
				if r.IntN(4) == 0 {
					if gone := s.Delete(ctx, fmt.Sprintf("person%04d", r.IntN(200))); !errors.Is(gone, ErrNotFound) {
						err = errors.Join(err, gone)
					}
				}
				if err != nil {
					t.Error(err)
				}
			}
		}()
	}
	var chain [][]byte
	var since uint64
	for i := range 6 {
		if i == 3 {
			if _, err := s.Compact(ctx); err != nil {
				t.Error(err)
			}
		}
		b, report := backUp(t, s, since)
		chain, since = append(chain, b), report.Revision
		got, err := restored(t, chain...)
		if err != nil {
			t.Fatal(err)
		}
		for id, c := range got {
			if c, ok := c.(content); ok && id[:4] == "user" {
				if err := checkMarked(c.Profile); err != nil {
					t.Error(err)
				}
			}
		}
	}
	cancel()
	workers.Wait()
	want := snapshot(t, s)
	b, report := backUp(t, s, since)
	want["revision"] = report.Revision
	got, err := restored(t, append(chain, b)...)
	if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestBackupAcrossCompact has a backup that is slow while the file is put out
// of its place.
func TestBackupAcrossCompact(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 100)
	want := snapshot(t, s)
	var b bytes.Buffer
	began, end := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { close(began); <-end })
	done := make(chan error)
	go func() {
		done <- second(s.Backup(ctx, writerFunc(func(p []byte) (int, error) { once(); return b.Write(p) }), nil))
	}()
	<-began
	if err := s.Delete(ctx, "person0001"); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if report, err := s.Compact(soon); err != nil || !report.Waiting {
		t.Errorf("got %+v, %v, want it to wait for the backup", report, err)
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want["revision"] = want["revision"].(uint64) + 1 // its epoch
	got, err := restored(t, b.Bytes())
	if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// TestBackupOfDeleted says that a backup has nothing of what was deleted before,
// and what is made of it and one since nothing of what was deleted between.
func TestBackupOfDeleted(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 2000)
	before, report := backUp(t, s, 0)
	for i := range 2000 {
		if i%20 != 0 {
			if err := s.Delete(ctx, fmt.Sprintf("person%04d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if traces(t, s.Path()) == 0 && testKey == nil {
		t.Fatal("got no trace in the store, want some: this test shows nothing")
	}
	since, _ := backUp(t, s, report.Revision)
	full, _ := backUp(t, s, 0)
	for i, chain := range [][][]byte{{full}, {before, since}} {
		path := filepath.Join(t.TempDir(), "xpeft.db")
		if report, err := Restore(ctx, path, nil, readers(chain)...); err != nil || report.Profiles != 100 {
			t.Fatalf("chain %d: got %+v, %v, want 100 profiles", i, report, err)
		}
		if n := traces(t, path); n != 0 {
			t.Errorf("chain %d: got traces of %d deleted profiles, want none", i, n)
		}
		if testKey == nil {
			continue
		}
		keys := must(os.ReadFile(KeysPath(path)))
		for n := 2; int(keyring.SlotAt(uint32(n))) < len(keys); n++ {
			if slot := keys[keyring.SlotAt(uint32(n)):][:keyring.SlotSize]; n%20 != 1 && !isZero(slot) {
				t.Errorf("chain %d: the key of number %d is left", i, n)
			}
		}
	}
}

// TestBackupForgets restores a full backup and one since it, between which one
// profile was deleted, the number of another was given to a third, and a fourth
// came back.
func TestBackupForgets(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 10)
	full, report := backUp(t, s, 0)
	put := func(id string) uint32 {
		must(s.Put(ctx, randomProfile(newRand(t), id), Write{State: []byte(id)}))
		return must(s.Get(id)).Number
	}
	reused := must(s.Get("person0002")).Number
	for _, id := range []string{"person0002", "person0005", "person0007"} {
		if err := s.Delete(ctx, id); err != nil {
			t.Fatal(err)
		}
		if id == "person0002" {
			if n := put("third"); n != reused {
				t.Fatalf("got number %d, want %d: this test shows nothing", n, reused)
			}
		}
	}
	put("person0007")
	want := snapshot(t, s)
	since, later := backUp(t, s, report.Revision)
	want["revision"] = later.Revision
	if later.Written != 2 || later.Profiles != 9 {
		t.Errorf("got %+v, want 2 profiles of 9", later)
	}
	got, err := restored(t, full, since)
	if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, gone := range []string{"person0002", "person0005"} {
		if got[gone] != nil {
			t.Errorf("%s is there again", gone)
		}
	}
	empty, _ := backUp(t, s, later.Revision)
	if got, err := restored(t, full, since, empty); err != nil || len(got) != len(want) {
		t.Errorf("got %d answers, %v, want %d", len(got), err, len(want))
	}
}

// TestBackupBesideImport makes backups while an import overwrites all profiles
// and another adds as many: each is a whole state, and none has fewer than the one
// before.
func TestBackupBesideImport(t *testing.T) {
	const profiles = 300
	r := newRand(t)
	s := filled(t, r, profiles)
	s.batch = 3
	bundle := export(t, s, everything)
	full, report := backUp(t, s, 0)
	chain, since := [][]byte{full}, report.Revision
	done := make(chan error)
	go func() {
		_, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Policy: Overwrite})
		done <- errors.Join(err, second(s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Prefix: "again/"})))
	}()
	for running := true; running; {
		select {
		case err := <-done:
			if running = false; err != nil {
				t.Fatal(err)
			}
		default:
		}
		b, report := backUp(t, s, since)
		chain, since = append(chain, b), report.Revision
	}
	last := 2 * profiles
	for n := len(chain); n > 0; n -= 1 + len(chain)/16 {
		got, err := restored(t, chain[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		now := len(got) / 2 // each with what it was earlier, and the revision
		if n == len(chain) && now != last || now > last || now < profiles {
			t.Errorf("backup %d of %d has %d profiles, the one after it %d", n, len(chain), now, last)
		}
		last = now
	}
}

// TestBackupMissesNothing has every profile written once more while backups are
// made: what one does not have the next one has.
func TestBackupMissesNothing(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true}))
	const profiles = 3000
	r := newRand(t)
	var ps []*Profile
	for i := range profiles {
		ps = append(ps, randomProfile(r, fmt.Sprintf("person%04d", i)))
	}
	if err := s.PutBatch(ctx, ps); err != nil {
		t.Fatal(err)
	}
	full, report := backUp(t, s, 0)
	chain, since := [][]byte{full}, report.Revision
	var workers sync.WaitGroup
	var left atomic.Int64
	for i := range 4 {
		workers.Add(1)
		left.Add(1)
		r := newRand(t)
		go func() {
			defer workers.Done()
			defer left.Add(-1)
			for j := i; j < profiles; j += 4 {
				if _, err := s.Put(ctx, randomProfile(r, fmt.Sprintf("person%04d", j)), Write{}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for done := false; !done; {
		done = left.Load() == 0
		b, report := backUp(t, s, since)
		chain, since = append(chain, b), report.Revision
	}
	workers.Wait()
	t.Logf("%d backups", len(chain))
	want := snapshot(t, s)
	want["revision"] = since
	got, err := restored(t, chain...)
	if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestBackupEpochs says what a write notes: nothing before the first backup, and
// a profile that it has noted once no more.
func TestBackupEpochs(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, History: -1})) // else the revision before would be noted
	noted := func() (blocks int, notes []uint32) {
		t.Helper()
		err := s.view(func(x *txn) (err error) {
			notes, err = readNotes(x.Tx)
			for k := range x.Bucket(format.Changes).all() {
				if len(k) == 12 {
					blocks++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return blocks, notes
	}
	want := func(blocks int, notes ...uint32) {
		t.Helper()
		if gotBlocks, got := noted(); gotBlocks != blocks || !slices.Equal(got, notes) {
			t.Errorf("got %d blocks and notes of %v, want %d and %v", gotBlocks, got, blocks, notes)
		}
	}
	put := func(id string) { must(s.Put(ctx, randomProfile(newRand(t), id), Write{})) }
	put("ann")
	want(0)
	_, first := backUp(t, s, 0)
	put("ann")
	put("ann")
	want(0, 1)
	if err := s.PutMeta(ctx, "key", []byte("value")); err != nil {
		t.Fatal(err)
	}
	want(0, 1)
	_, second := backUp(t, s, first.Revision)
	want(1)
	if _, none := backUp(t, s, second.Revision); none.Written != 0 || second.Written != 1 {
		t.Errorf("got %d and %d profiles written, want 1 and 0", second.Written, none.Written)
	}
	secrets(t, s, maxNotes-1) // bob is one too many for notes
	put("bob")
	if _, notes := noted(); len(notes) != maxNotes {
		t.Errorf("got %d notes, want %d", len(notes), maxNotes)
	}
	put("carl")
	put("carl")
	want(2)
	for range keptBases {
		put("bob")
		backUp(t, s, 0)
	}
	want(keptBases - 1) // the newest epoch has none
}

// TestBackupBases says which backups others can build on.
func TestBackupBases(t *testing.T) {
	s := newStore(t, fast)
	var revisions []uint64
	for range keptBases + 2 {
		secrets(t, s, 1)
		_, report := backUp(t, s, 0)
		revisions = append(revisions, report.Revision)
	}
	broken := errors.New("broken")
	_, err := s.Backup(ctx, writerFunc(func([]byte) (int, error) { return 0, broken }), nil)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the writer's error", err)
	}
	revisions = append(revisions, must(s.Revision()), 1)
	check := func(s *Store) {
		t.Helper()
		for i, since := range revisions {
			want := error(nil)
			if i < 2 || i >= keptBases+2 {
				want = ErrNoBase
			}
			var b bytes.Buffer
			report, err := s.Backup(ctx, &b, &BackupOptions{Since: since})
			if !errors.Is(err, want) || err == nil && report.Base {
				t.Errorf("backup %d: got %+v, %v, want %v", i, report, err, want)
			} else if err != nil && b.Len() > 0 {
				t.Errorf("backup %d: got %d bytes, want none", i, b.Len())
			}
		}
	}
	s = reopen(t, s, with(Options{ReadOnly: true}))
	before := must(os.ReadFile(s.Path()))
	check(s)
	if after := must(os.ReadFile(s.Path())); !bytes.Equal(before, after) {
		t.Error("read-only: the file has changed")
	}
	s = reopen(t, s, fast)
	if _, err := s.Compact(ctx); err != nil {
		t.Fatal(err)
	}
	backUp(t, s, revisions[keptBases+1])
}

// TestBackupWithoutEpoch makes a backup of a store that nothing can be written to.
func TestBackupWithoutEpoch(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 3)
	refuse := func(err error) {
		s.writer.Lock()
		s.refused = err
		s.writer.Unlock()
	}
	refuse(ErrFull)
	defer refuse(nil)
	var b bytes.Buffer
	report, err := s.Backup(ctx, &b, nil)
	if err != nil || report.Base || report.Profiles != 3 {
		t.Fatalf("got %+v, %v, want 3 profiles, and no base", report, err)
	}
	if _, err := restored(t, b.Bytes()); err != nil {
		t.Error(err)
	}
}

// TestBackupLostSet damages the note of what has changed: what would lack
// profiles is not written, and a full backup is.
func TestBackupLostSet(t *testing.T) {
	s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, fast)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must(s.PutBank(ctx, testBank))
	_, report := backUp(t, s, 0)
	secrets(t, s, maxNotes+1)
	err = s.writePages(func(tx *bolt.Tx) error {
		b := tx.Bucket(format.Changes)
		k, _ := b.Cursor().Last()
		return b.Delete(bytes.Clone(k))
	})
	if err != nil {
		t.Fatal(err)
	}
	for since, want := range map[uint64]error{0: nil, report.Revision: ErrCorrupt} {
		if _, err := s.Backup(ctx, io.Discard, &BackupOptions{Since: since}); !errors.Is(err, want) {
			t.Errorf("since %d: got %v, want %v", since, err, want)
		}
	}
}

// TestBackupOfDamaged: what Restore would refuse is not written.
func TestBackupOfDamaged(t *testing.T) {
	for bucket, key := range map[string][]byte{"profiles": format.Key(1), "state": format.Key(1), "people": format.Key(1),
		"examples": format.KeyAt(1, 0), "history": format.KeyAt(1, 1), "values": []byte("key"), "ids": []byte("?")} {
		s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, fast)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		must(s.PutBank(ctx, testBank))
		for range 2 {
			must(s.Put(ctx, randomProfile(newRand(t), "ann"),
				Write{State: []byte("state"), Append: []Example{{Text: "text"}}}))
		}
		if _, err := s.Backup(ctx, io.Discard, nil); err != nil {
			t.Fatal(err)
		}
		err = s.writePages(func(tx *bolt.Tx) error { return tx.Bucket([]byte(bucket)).Put(key, []byte("?")) })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Backup(ctx, io.Discard, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %v, want ErrCorrupt", bucket, err)
		}
	}
}

// TestBackupFiles has the files of banks come with a full backup, and with
// later ones those that it does not have.
func TestBackupFiles(t *testing.T) {
	s := newStore(t, fast)
	files := func(info BankInfo) (fs []BackupFile, err error) {
		if info.Digest == testBank.Digest {
			return nil, nil // a random one
		}
		for _, report := range []bool{false, true} {
			text := fmt.Appendf(nil, "%v of %s", report, info.Digest.Short())
			fs = append(fs, BackupFile{report, int64(len(text)),
				func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }})
		}
		return fs, nil
	}
	var chain [][]byte
	since := uint64(0)
	for i := range 3 {
		if i < 2 {
			must(s.PutBank(ctx, BankInfo{Digest: Digest{byte(100 + i)}, N: 20, Blocks: 2}))
		}
		var b bytes.Buffer
		report, err := s.Backup(ctx, &b, &BackupOptions{Since: since, BankFiles: files})
		want := 2
		if i == 2 {
			want = 0
		}
		if testKey != nil {
			want++
		}
		if err != nil || report.Files != want {
			t.Fatalf("backup %d: got %+v, %v, want %d files", i, report, err, want)
		}
		chain, since = append(chain, b.Bytes()), report.Revision
	}
	var got []string
	o := &RestoreOptions{OnFile: func(d Digest, report bool, r io.Reader) error {
		b, err := io.ReadAll(r)
		got = append(got, string(b))
		return err
	}}
	if _, err := Verify(ctx, o, readers(chain)...); err != nil {
		t.Fatal(err)
	}
	want := []string{"false of 640000000000", "true of 640000000000", "false of 650000000000", "true of 650000000000"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	broken := errors.New("broken")
	o.OnFile = func(Digest, bool, io.Reader) error { return broken }
	if _, err := Restore(ctx, filepath.Join(t.TempDir(), "xpeft.db"), o, readers(chain)...); !errors.Is(err, broken) {
		t.Errorf("got %v, want the callback's error", err)
	}
}
