package fuzz

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/xpeft/xpeft/store"
)

// sampleBackups are a full backup of two profiles with all that one can have, a bank's file and its
// report, and one since it, where one of the profiles has changed, and the number of the other is a
// third one's.
func sampleBackups(f *testing.F) (full, since []byte) {
	ctx := context.Background()
	s := openStore(f)
	file := func(report bool) store.BackupFile {
		return store.BackupFile{Report: report, Size: 4,
			Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte("file"))), nil }}
	}
	o := &store.BackupOptions{BankFiles: func(store.BankInfo) ([]store.BackupFile, error) {
		return []store.BackupFile{file(false), file(true)}, nil
	}}
	head, _, err := s.PutHead(ctx, []byte("head"))
	if err == nil {
		err = errors.Join(s.SetHeadName(ctx, "default", head), s.PutMeta(ctx, "key", []byte("value")))
	}
	for i, ids := range [][]string{{"ann", "bob"}, {"ann", "carl"}} {
		bank, bankErr := s.PutBank(ctx, store.BankInfo{Digest: store.Digest{byte(i + 1)}, N: 8, Blocks: 1})
		if err = errors.Join(err, bankErr); i > 0 {
			err = errors.Join(err, s.Delete(ctx, "bob"))
		}
		axes, axesErr := s.PutBank(ctx, store.BankInfo{Digest: store.Digest{9}, N: 18, Blocks: 1})
		err = errors.Join(err, axesErr)
		for _, id := range ids {
			p := &store.Profile{ID: id, Bank: bank, Head: head, Mask: mask(f, 8, 2, 1)}
			if id == "ann" {
				p.Mask, p.Bank, p.Codes = nil, 0, []store.Code{code(axes, 9, 0, 1)}
			}
			_, putErr := s.Put(ctx, p, store.Write{State: []byte("state"),
				Append: []store.Example{{Text: "text", Label: "label"}},
				Person: func(p *store.Person) { p.Private = true }})
			err = errors.Join(err, putErr)
		}
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		report, err := s.Backup(ctx, &b, o)
		if err != nil {
			f.Fatal(err)
		}
		full, since, o.Since = since, b.Bytes(), report.Revision
	}
	return full, since
}

// FuzzBackup restores any bytes, as a backup, as the frames within one, and after a sound one: a
// typed error that leaves nothing, or a file that Verify says the same of.
func FuzzBackup(f *testing.F) {
	full, since := sampleBackups(f)
	pages, err := os.ReadFile(filepath.Join("..", "store", "testdata", "backup-v1-schema5.bin"))
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{full, since, pages, full[:len(full)/2], frames(f, full), frames(f, since),
		frames(f, pages), frames(f, full)[:80]} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		restore(t, b)
		restore(t, wrapBackup(t, 1, b))
		restore(t, wrapBackup(t, 2, b))
		restore(t, full, b)
		restore(t, full, wrapBackup(t, 2, b))
	})
}

func wrapBackup(t testing.TB, version byte, frames []byte) []byte {
	b := wrap(t, frames)
	b[5], b[6] = 'A', version
	at := len(b) - sha256.Size
	sum := sha256.Sum256(b[:at])
	return append(b[:at], sum[:]...)
}

func restore(t *testing.T, backups ...[]byte) {
	ctx, dir := context.Background(), t.TempDir()
	o := &store.RestoreOptions{MaxBytes: 1 << 20}
	readers := func() (rs []io.Reader) {
		for _, b := range backups {
			rs = append(rs, bytes.NewReader(b))
		}
		return rs
	}
	path := filepath.Join(dir, "xpeft.db")
	report, err := store.Restore(ctx, path, o, readers()...)
	if err == nil {
		if verified, err := store.Verify(ctx, o, readers()...); err != nil || verified != report {
			t.Fatalf("got %+v, %v, restored %+v", verified, err, report)
		}
		s, err := store.Open(path, &store.Options{NoSync: true})
		if err == nil {
			err = s.Close()
		}
		wantTyped(t, err)
		return
	}
	wantTyped(t, err)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("got %v, %v left, want nothing", left, err)
	}
}

func wantTyped(t *testing.T, err error) {
	for _, want := range []error{nil, store.ErrCorrupt, store.ErrSchema, store.ErrMismatch, store.ErrLimit,
		store.ErrKey} {
		if errors.Is(err, want) {
			return
		}
	}
	t.Fatalf("got %v, want a typed error", err)
}
