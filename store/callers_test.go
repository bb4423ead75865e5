package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xpeft/xpeft/store/internal/keyring"
	"github.com/xpeft/xpeft/store/internal/sidefile"
)

// together runs calls that share one transaction, in their order, and returns
// what each ended with: its error, or its panic as one.
func together(t *testing.T, s *Store, calls ...func() error) []error {
	t.Helper()
	errs, done := make([]error, len(calls)), make(chan int)
	s.writer.Lock()
	for i, call := range calls {
		go func() {
			defer func() {
				if v := recover(); v != nil {
					errs[i] = fmt.Errorf("panic: %v", v)
				}
				done <- i
			}()
			errs[i] = call()
		}()
		for queued := 0; queued <= i; time.Sleep(time.Millisecond) {
			s.queueLock.Lock()
			queued = len(s.queue)
			s.queueLock.Unlock()
		}
	}
	s.writer.Unlock()
	for range calls {
		<-done
	}
	return errs
}

func (s *Store) put(t *testing.T, id string) func() error {
	p := randomProfile(newRand(t), id)
	return func() error {
		_, err := s.Put(ctx, p, Write{})
		return err
	}
}

// TestErrorsOfKeys has a file of keys that cannot be written: it is the error of
// the call that needs a key written or erased, and of no other.
func TestErrorsOfKeys(t *testing.T) {
	s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, encrypted(Options{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.PutBank(ctx, testBank); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"ann", "bob", "eve"} {
		if err := s.put(t, id)(); err != nil {
			t.Fatal(err)
		}
	}
	writable := s.keys
	defer writable.Close()
	if s.keys, err = keyring.Open(KeysPath(s.Path()), s.meta.Keys, s.opts.MasterKey, true, true); err != nil {
		t.Fatal(err)
	}
	forget := func() error { return s.Delete(ctx, "ann") }
	errs := together(t, s, s.put(t, "bob"), forget, s.put(t, "eve"))
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("erasure: got %v, want an error of the deletion alone", errs)
	}
	errs = together(t, s, s.put(t, "bob"), s.put(t, "new"), s.put(t, "eve"))
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("new key: got %v, want an error of the new profile alone", errs)
	}
	if p, err := s.Get("bob"); err != nil || p.Revision != 3 {
		t.Errorf("Get: got %+v, %v, want revision 3", p, err)
	}
}

// TestPanicOfItsCall has one of three calls of a transaction panic: the others
// are stored, and their goroutines go on.
func TestPanicOfItsCall(t *testing.T) {
	s := filled(t, newRand(t), 3)
	var nothing *Profile
	for name, panics := range map[string]func(*writeTx) error{
		"own bug":         func(*writeTx) error { _ = nothing.ID; return nil },
		"caller's":        func(*writeTx) error { callersCode(func() { panic("theirs") }); return nil },
		"caller's, alone": func(*writeTx) error { panic("theirs") },
	} {
		write := s.write
		if name == "caller's, alone" {
			write = s.writeAlone
		}
		errs := together(t, s, s.put(t, "user000"), func() error { return write(ctx, panics) }, s.put(t, "user001"))
		if errs[0] != nil || errs[1] == nil || !strings.HasPrefix(errs[1].Error(), "panic: ") || errs[2] != nil {
			t.Errorf("%s: got %v, want a panic of the second alone", name, errs)
		}
	}
}

// TestCallbacksPanic has each callback and reader or writer of a caller panic:
// that reaches the goroutine of the call, with its value, and the store is as
// it was.
func TestCallbacksPanic(t *testing.T) {
	s := filled(t, newRand(t), 50)
	for i := range 20 { // more than the compressor keeps
		p := randomProfile(newRand(t), fmt.Sprintf("big%03d", i))
		p.Head, p.OwnHead = 0, make([]byte, 64<<10)
		rand.Read(p.OwnHead)
		if _, err := s.Put(ctx, p, Write{}); err != nil {
			t.Fatal(err)
		}
	}
	var bundle bytes.Buffer
	if _, err := s.Export(ctx, &bundle, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	type theirs struct{ what string }
	want := contents(t, s)
	after := func(n int) func() { // panics in the nth call
		return func() {
			if n--; n < 0 {
				panic(theirs{"callback"})
			}
		}
	}
	s.batch = 5
	for _, n := range []int{0, 1, 7, 15} {
		fail := after(n)
		writer := writerFunc(func(p []byte) (int, error) { fail(); return len(p), nil })
		reader := readerFunc(func(p []byte) (int, error) { fail(); return bundle.Read(p) })
		kept := bundle.Bytes()
		for name, call := range map[string]func() error{
			"Rename": func() error {
				_, err := s.Import(ctx, &bundle, ImportOptions{Policy: Rename, Rename: func(id string) string { fail(); return id + "x" }})
				return err
			},
			"Import's reader": func() error {
				_, err := s.Import(ctx, reader, ImportOptions{Policy: Skip})
				return err
			},
			"Export's writer": func() error { _, err := s.Export(ctx, writer, ExportOptions{}); return err },
			"Backup's writer": func() error { _, err := s.Backup(ctx, writer, nil); return err },
			"Backup's files": func() error {
				_, err := s.Backup(ctx, io.Discard, &BackupOptions{BankFiles: func(BankInfo) ([]BackupFile, error) { panic(theirs{"callback"}) }})
				return err
			},
			"Export's files": func() error {
				_, err := s.Export(ctx, io.Discard, ExportOptions{BankFile: func(BankInfo) (io.ReadCloser, int64, error) { panic(theirs{"callback"}) }})
				return err
			},
		} {
			bundle, fail = *bytes.NewBuffer(kept), after(n)
			var err error
			v := panics(func() { err = call() })
			if _, ok := v.(theirs); !ok {
				t.Errorf("%s, call %d: got a panic %v and the error %v, want the callback's panic", name, n, v, err)
			}
			if err := s.nothingPending(); err != nil {
				t.Errorf("%s, call %d: %v", name, n, err)
			}
		}
		bundle = *bytes.NewBuffer(kept)
	}
	if got := contents(t, s); len(got) != len(want) {
		t.Errorf("got %d profiles, want %d as before", len(got), len(want))
	}
}

// nothingPending says whether an import has left neither a side file nor an entry.
func (s *Store) nothingPending() error {
	if _, err := os.Lstat(s.Path() + sidefile.Suffix); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("side file: got %v, want none", err)
	}
	return s.view(func(t *txn) error {
		if left, err := readPending(t.Tx); left != nil || err != nil {
			return fmt.Errorf("got %+v, %v, want no import", left, err)
		}
		return nil
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestGuardMoved runs tests of the guard with this package at another path: what
// tells a bug from damage must not depend on where the package is.
func TestGuardMoved(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package")
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	// Within store: from elsewhere its internal packages are out of reach.
	moved := filepath.Join(here, "moved.away", "kept")
	for _, name := range files {
		overlay.Replace[filepath.Join(moved, name)] = filepath.Join(here, name)
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	binary := filepath.Join(t.TempDir(), "moved.test")
	build := exec.CommandContext(soon, "go", "test", "-c", "-vet=off", "-overlay", path, "-o", binary, "./moved.away/kept")
	build.Dir = here
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(soon, binary, "-test.run", "^(TestGuardedPassesOthers|TestFileCutWhileOpen|TestDamagedPages)$").CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
