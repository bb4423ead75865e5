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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
			if o.kind == "import" {
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
		chain := append(slices.Clip(all[since].chain), b)
		if report.Revision == since || all[report.Revision].want == nil {
			revisions = append(revisions, report.Revision)
			slices.Sort(revisions)
			revisions = slices.Compact(revisions)
		}
		all[report.Revision] = taken{chain, want}
		got, err := restored(t, chain...)
		if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
			t.Fatalf("backup %d, %d links: %v\n%s", i, len(chain), err, diff)
		}
	}
}

// TestBackupBesideWriters makes a full backup and one since it while profiles
// are put, deleted and compacted away. Each restores to whole profiles.
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
	soon, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	if report, err := s.Compact(soon); err != nil || !report.Waiting {
		t.Errorf("got %+v, %v, want it to wait for the backup", report, err)
	}
	close(end)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got, err := restored(t, b.Bytes())
	if diff := cmp.Diff(want, got, asPut); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// TestBackupOfDeleted says that a backup has nothing of what was deleted before.
func TestBackupOfDeleted(t *testing.T) {
	s := newStore(t, fast)
	secrets(t, s, 2000)
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
	b, _ := backUp(t, s, 0)
	path := filepath.Join(t.TempDir(), "xpeft.db")
	if _, err := Restore(ctx, path, nil, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if found := freeTraces(t, path); found != 0 {
		t.Errorf("got bytes on %d free pages, want none", found)
	}
}

// walked is the walk over a file that is sound.
func walked(t *testing.T, path string) *pageWalk {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := &pageWalk{problem: func(format string, args ...any) { t.Errorf(format, args...) }}
	if err := w.all(f); err != nil {
		t.Fatal(err)
	}
	return w
}

// freeTraces counts the free pages that are not zeros.
func freeTraces(t *testing.T, path string) (n int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := walked(t, path)
	for id, free := range w.free {
		if size := w.meta.pageSize; free && !isZero(b[id*size:][:size]) {
			n++
		}
	}
	return n
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
	damaged := s.basePath(revisions[5])
	b, err := os.ReadFile(damaged)
	if err != nil {
		t.Fatal(err)
	}
	b[40] ^= 1
	if err := os.WriteFile(damaged, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, since := range append(revisions, revisions[len(revisions)-1]+100) {
		want := error(nil)
		if i < 2 || i == 5 || i == len(revisions) {
			want = ErrNoBase
		}
		var b bytes.Buffer
		if _, err := s.Backup(ctx, &b, &BackupOptions{Since: since}); !errors.Is(err, want) {
			t.Errorf("backup %d: got %v, want %v", i, err, want)
		} else if err != nil && b.Len() > 0 {
			t.Errorf("backup %d: got %d bytes, want none", i, b.Len())
		}
	}
	s = reopen(t, s, with(Options{ReadOnly: true}))
	os.RemoveAll(s.basesDir())
	var out bytes.Buffer
	report, err := s.Backup(ctx, &out, nil)
	if err != nil || report.Base {
		t.Errorf("read-only: got %+v, %v, want no base", report, err)
	}
	if _, err := os.Stat(s.basesDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read-only: got %v, want nothing written", err)
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
			fs = append(fs, BackupFile{report, int64(len(text)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }})
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
