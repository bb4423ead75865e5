package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tight opens a store of 100 profiles that outgrows its mapping of 1 MiB soon.
func tight(t *testing.T) *Store {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no mapping is larger than the file")
	}
	path := filepath.Join(t.TempDir(), "xpeft.db")
	backup(t, filled(t, newRand(t), 100), path)
	s, err := Open(path, with(Options{Reserve: 1 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { checkAndClose(t, s) })
	return s
}

// outgrow puts profiles, of 64 KiB each, until the store has outgrown its
// mapping so many times, and returns that count.
func outgrow(s *Store, times int) (grown int, err error) {
	r := rand.New(rand.NewPCG(1, 2))
	mapped := s.db.Load().mapped.Load()
	for i := 0; grown < times && i < 4000; i++ {
		p := randomProfile(r, fmt.Sprintf("new%05d", i))
		p.Head, p.OwnHead = 0, make([]byte, 64<<10)
		if _, err := s.Put(ctx, p, Write{}); err != nil {
			return grown, err
		}
		if now := s.db.Load().mapped.Load(); now > mapped {
			mapped, grown = now, grown+1
		}
	}
	return grown, nil
}

// slowestAnswer asks from 8 goroutines while fn runs, and returns how long the
// slowest answer took.
func slowestAnswer(t *testing.T, s *Store, fn func()) time.Duration {
	t.Helper()
	stop := make(chan struct{})
	slowest := make([]time.Duration, 8)
	var askers sync.WaitGroup
	for i := range slowest {
		askers.Add(1)
		go func() {
			defer askers.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond): // 8,000 answers a second at most
				}
				began := time.Now()
				if _, err := s.Get(fmt.Sprintf("user%03d", n%100)); err != nil {
					t.Error(err)
					return
				}
				slowest[i] = max(slowest[i], time.Since(began))
			}
		}()
	}
	fn()
	close(stop)
	askers.Wait()
	var most time.Duration
	for _, d := range slowest {
		most = max(most, d)
	}
	return most
}

// TestOutgrownUnderBackup has a store outgrow its mapping three times while a
// Backup runs, which ends only then: neither those who ask nor those who write
// may wait for it, and it must be of one state. The machine may be busy with
// something else, so a slow answer counts if it is slow each time.
func TestOutgrownUnderBackup(t *testing.T) {
	var without, with time.Duration
	for range 9 {
		alone := tight(t)
		without = slowestAnswer(t, alone, func() { outgrowThrice(t, alone) })
		with = slowestUnderBackup(t, tight(t))
		t.Logf("slowest answer: %v without a Backup, %v under one", without, with)
		if t.Failed() || with <= without+100*time.Millisecond {
			return
		}
	}
	t.Errorf("slowest answer under a Backup: got %v, want %v and at most 100ms", with, without)
}

func outgrowThrice(t *testing.T, s *Store) {
	if n, err := outgrow(s, 3); err != nil || n != 3 {
		t.Errorf("outgrown %d times, %v; want 3", n, err)
	}
}

// slowestUnderBackup is slowestAnswer of outgrowThrice under a Backup, which is
// restored and compared.
func slowestUnderBackup(t *testing.T, s *Store) time.Duration {
	want := contents(t, s)
	var out bytes.Buffer
	begun, release := make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(begun); <-release })
	done := make(chan error, 1)
	go func() {
		_, err := s.Backup(ctx, writerFunc(func(p []byte) (int, error) { first(); return out.Write(p) }), nil)
		done <- err
	}()
	<-begun
	hung := time.AfterFunc(5*time.Minute, func() { t.Error("calls wait for the Backup"); close(release) })
	slowest := slowestAnswer(t, s, func() { outgrowThrice(t, s) })
	if hung.Stop() {
		close(release)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "xpeft.db")
	if _, err := Restore(ctx, path, nil, bytes.NewReader(out.Bytes())); err != nil {
		t.Fatal(err)
	}
	restored, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	defer checkAndClose(t, restored)
	if diff := cmp.Diff(want, contents(t, restored)); diff != "" {
		t.Errorf("the backup is not the state that it began at (-want +got):\n%s", diff)
	}
	return slowest
}

// TestOutgrownUnderReaders lets a store outgrow its mapping among readers and
// writers that are short: all that was put is there, in the one file.
func TestOutgrownUnderReaders(t *testing.T) {
	s := tight(t)
	before := must(os.Stat(s.Path()))
	slowestAnswer(t, s, func() { outgrowThrice(t, s) })
	if after := must(os.Stat(s.Path())); !os.SameFile(before, after) {
		t.Error("got another file, want the one that is mapped larger")
	}
	if _, err := Open(s.Path(), with(Options{Timeout: 10 * time.Millisecond})); !errors.Is(err, ErrLocked) {
		t.Errorf("Open of the same file: got %v, want ErrLocked", err)
	}
	if got := mappings(t, s.Path()); len(got) > 1 {
		t.Errorf("got %d mappings, want one: %v", len(got), got)
	}
	want := contents(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(s.Path(), fast)
	if err != nil {
		t.Fatal(err)
	}
	defer checkAndClose(t, again)
	if got := contents(t, again); !reflect.DeepEqual(got, want) { // megabytes: a diff takes long
		t.Errorf("after another Open: got %d profiles, want the same %d", len(got), len(want))
	}
}

// mappings lists those of a file in this process; none where the system does
// not tell.
func mappings(t *testing.T, path string) (sizes []int64) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if !strings.Contains(line, path) {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, to-from)
	}
	return sizes
}

// TestReserve compares the size that Stats has for the mapping with the system's.
func TestReserve(t *testing.T) {
	for _, c := range []struct{ reserve, want int64 }{
		{0, 4 << 30}, {1 << 20, 1 << 20}, {3 << 20, 4 << 20}, {5 << 30, 5 << 30}, {5<<30 + 1, 6 << 30},
	} {
		s, err := Create(filepath.Join(t.TempDir(), "xpeft.db"), testMeta, with(Options{NoSync: true, Reserve: c.reserve}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { checkAndClose(t, s) })
		if got := must(s.Stats()).MapBytes; got != c.want {
			t.Errorf("Reserve %d: got %d bytes, want %d", c.reserve, got, c.want)
		}
		if got := mappings(t, s.Path()); got != nil && (len(got) != 1 || got[0] != c.want) {
			t.Errorf("Reserve %d: the system maps %d, want %d", c.reserve, got, c.want)
		}
	}
	if _, err := Open("x", &Options{Reserve: -1}); !errors.Is(err, ErrLimit) {
		t.Errorf("Reserve -1: got %v, want ErrLimit", err)
	}
}

// TestNoRoomForCopy has no disk for the copy that a Backup makes necessary:
// what is put is stored, and nothing is left of the copy.
func TestNoRoomForCopy(t *testing.T) {
	for _, failing := range []string{"sync", "rename"} {
		s := tight(t)
		s.writer.Lock()
		end := s.readLong()
		s.writer.Unlock()
		s.compacts = func(step string) error {
			if step == failing {
				return errors.New("no room")
			}
			return nil
		}
		if n, err := outgrow(s, 1); err != nil || n != 1 { // bbolt maps the file itself
			t.Errorf("%s: outgrown %d times, %v; want once", failing, n, err)
		}
		end()
		if s.db.Load().retry.IsZero() {
			t.Errorf("%s: nothing was tried", failing)
		}
		if left, _ := filepath.Glob(s.Path() + "?*"); len(left) > 0 && testKey == nil {
			t.Errorf("%s: left %v", failing, left)
		}
	}
}

// TestCompactWaitsForAll compacts a store that has moved over from a file which
// a Backup still reads, and with it what was deleted since.
func TestCompactWaitsForAll(t *testing.T) {
	s := tight(t)
	err := s.Delete(ctx, "user000")
	if err != nil {
		t.Fatal(err)
	}
	inBackup := sync.OnceFunc(func() {
		if n, err := outgrow(s, 1); err != nil || n != 1 {
			t.Errorf("outgrown %d times, %v; want once", n, err)
		}
		soon, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if report, err := s.Compact(soon); err != nil || !report.Waiting {
			t.Errorf("Compact: got %+v, %v; want Waiting", report, err)
		}
	})
	_, err = s.Backup(ctx, writerFunc(func(p []byte) (int, error) { inBackup(); return len(p), nil }), nil)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := s.Compact(ctx); err != nil || report.Waiting {
		t.Errorf("Compact afterwards: got %+v, %v; want not Waiting", report, err)
	}
}

// TestLongReaderKeepsLittle puts the same profiles again and again under a long
// reader: what that keeps must not make the file grow without end.
func TestLongReaderKeepsLittle(t *testing.T) {
	s := newStore(t, with(Options{NoSync: true, History: -1}))
	p := randomProfile(newRand(t), "ann")
	p.Head, p.OwnHead = 0, make([]byte, 64<<10)
	s.writer.Lock()
	end := s.readLong()
	s.writer.Unlock()
	defer end()
	err := s.view(func(*txn) error {
		for range 4000 { // of 17 pages or more
			if _, err := s.Put(ctx, p, Write{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := must(s.Stats()).FileBytes; got > 2*mostKept {
		t.Errorf("the file has %d bytes, want %d at most", got, 2*mostKept)
	}
}
