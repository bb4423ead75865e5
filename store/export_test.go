package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/xpeft/xpeft/store/internal/format"
)

// pages is a store of more profiles than a page of an export holds.
func pages(t *testing.T) *Store {
	t.Helper()
	r := newRand(t)
	s := newStore(t, fast)
	var batch []*Profile
	for i := range 4*pageProfiles + 1 {
		batch = append(batch, randomProfile(r, fmt.Sprintf("user%05d", i)))
	}
	if err := s.PutBatch(ctx, batch); err != nil {
		t.Fatal(err)
	}
	return s
}

var errFull = errors.New("disk is full")

// fullWriter takes left bytes and calls then once they are written.
type fullWriter struct {
	left int
	then func() error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.left)
	if w.left -= n; n < len(p) {
		return n, w.then()
	}
	return n, nil
}

// TestExportFails ends an export in its midst. The reader that runs ahead must
// have ended too: the store can be closed, and exported again.
func TestExportFails(t *testing.T) {
	s := pages(t)
	whole := export(t, s, ExportOptions{})
	for at := 0; at < len(whole); at += len(whole)/20 + 1 {
		n, err := s.Export(ctx, &fullWriter{at, func() error { return errFull }}, ExportOptions{})
		if n != 0 || !errors.Is(err, errFull) {
			t.Errorf("full at byte %d: got %d, %v, want %v", at, n, err, errFull)
		}
		cancelled, cancel := context.WithCancel(ctx)
		n, err = s.Export(cancelled, &fullWriter{at, func() error { cancel(); return cancelled.Err() }},
			ExportOptions{})
		if n != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at byte %d: got %d, %v, want %v", at, n, err, context.Canceled)
		}
		cancel()
	}
	noFile := func(BankInfo) (io.ReadCloser, int64, error) { return nil, 0, errFull }
	if n, err := s.Export(ctx, io.Discard, ExportOptions{BankFile: noFile}); n != 0 || !errors.Is(err, errFull) {
		t.Errorf("no bank file: got %d, %v, want %v", n, err, errFull)
	}
	if again := export(t, s, ExportOptions{}); !bytes.Equal(again, whole) {
		t.Errorf("got a bundle of %d bytes, want the same %d", len(again), len(whole))
	}
}

// closingWriter closes a store at its first write.
type closingWriter struct{ s *Store }

func (w closingWriter) Write(p []byte) (int, error) { return len(p), w.s.Close() }

// TestExportClosed exports a store that is closed meanwhile, and again, as it is closed.
func TestExportClosed(t *testing.T) {
	s := pages(t)
	for range 2 {
		if n, err := s.Export(ctx, closingWriter{s}, ExportOptions{}); n != 0 || !errors.Is(err, ErrClosed) {
			t.Errorf("got %d, %v, want %v", n, err, ErrClosed)
		}
	}
}

// TestExportDamaged names the profile whose record cannot be read.
func TestExportDamaged(t *testing.T) {
	s := newStore(t, fast)
	r := newRand(t)
	for _, id := range []string{"ann", "bob"} {
		if _, err := s.Put(ctx, randomProfile(r, id), Write{}); err != nil {
			t.Fatal(err)
		}
	}
	records := map[string][]byte{}
	change := func(fn func(w *writeTx) error) {
		t.Helper()
		if err := s.write(ctx, fn); err != nil {
			t.Fatal(err)
		}
	}
	change(func(w *writeTx) error {
		for _, n := range []uint32{1, 2} {
			records[fmt.Sprint(n)] = bytes.Clone(w.profiles.Get(format.Key(n)))
		}
		return nil
	})
	for name, bad := range map[string][]byte{"cut": records["2"][:9], "another's": records["1"], "empty": {}} {
		change(func(w *writeTx) error { return w.profiles.b.Put(format.Key(2), bad) })
		for _, o := range []ExportOptions{{}, {IDs: []string{"bob"}}} {
			if n, err := s.Export(ctx, io.Discard, o); n != 0 || !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: got %d, %v, want ErrCorrupt", name, n, err)
			}
		}
	}
	change(func(w *writeTx) error { return w.profiles.b.Put(format.Key(2), records["2"]) })
}
