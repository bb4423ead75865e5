//go:build linux

package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	childFull        = "XPEFT_STORE_TEST_FULL"
	childFullCreate  = "XPEFT_STORE_TEST_FULL_CREATE"
	childFullCompact = "XPEFT_STORE_TEST_FULL_COMPACT"
	// childRoom is how many bytes the file may grow by, in childFull, where
	// none means that the file system ends; how many it may have, in
	// childFullCreate.
	childRoom = "XPEFT_STORE_TEST_ROOM"
)

func init() {
	children[childFull] = changeInNoRoom
	children[childFullCreate] = createInNoRoom
	children[childFullCompact] = compactInNoRoom
}

// limitFiles bounds the size of files that this process writes: a write goes
// up to there, and the next one fails with EFBIG.
func limitFiles(size uint64) error {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(size, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

// room sets the limit of childRoom, and returns what takes it away again.
func room(s *Store) (lift func() error, err error) {
	var grow uint64
	if _, err := fmt.Sscan(os.Getenv(childRoom), &grow); err != nil {
		return func() error {
			return syscall.Mount("tmpfs", filepath.Dir(s.Path()), "tmpfs", syscall.MS_REMOUNT, "size=64m")
		}, nil
	}
	var used int64 // the file may be larger; then it need not grow
	err = s.view(func(t *txn) error {
		used = t.Size()
		return nil
	})
	return func() error { return limitFiles(1 << 62) }, errors.Join(err, limitFiles(uint64(used)+grow))
}

// changeInNoRoom runs operations until some are refused for want of room, says
// which, and then that all can be read and that there is nothing wrong. Then
// it gets room, and no more may be refused.
func changeInNoRoom(path string) error {
	s, bundle, err := openChild(path)
	if err != nil {
		return err
	}
	s.batch = 5
	lift, err := room(s)
	if err != nil {
		return err
	}
	fmt.Println("begun")
	for refused, n := 0, 0; refused < 10 && n < 2000; n++ {
		err := sayOp(s, bundle)
		if err != nil {
			refused++
			if s.waits() { // and is finished when the store is opened again
				break
			}
			_, err = s.Check(ctx, true)
		}
		if err != nil {
			return err
		}
	}
	if s.waits() || rand.IntN(2) == 0 { // closed, or dead, without room
		return s.Close()
	}
	if err := lift(); err != nil {
		return err
	}
	for range 20 {
		if err := sayOp(s, bundle); err != nil {
			return err
		}
	}
	return s.Close()
}

// waits says whether an import is to be finished.
func (s *Store) waits() bool {
	st, err := s.Stats()
	return err == nil && st.Imports > 0
}

// sayOp runs an operation, mostly on a new profile, and says how it ended.
func sayOp(s *Store, bundle []byte) error {
	o := randomOp(rand.IntN(crashWorkers))
	o.id = rand.IntN(10_000)
	fmt.Println("start", o)
	result, err := o.run(s, bundle)
	if err != nil {
		refused := "refused"
		if s.waits() {
			refused = "waits"
		}
		fmt.Printf("%s %d %t %q\n", refused, o.worker, errors.Is(err, ErrFull), err.Error())
		return fmt.Errorf("%s: %w", o.kind, err)
	}
	fmt.Println("done", o.worker, result)
	return nil
}

// fill runs a child on the store until it has been refused, and checks what it
// leaves against the model: all that was done, and nothing that was refused. If
// an import waits for room it gets some first, and is finished.
func (c *crash) fill(t *testing.T, sync bool, env string, lift func()) (refused int) {
	t.Helper()
	waited := c.waited
	cmd := child(t, childFull, c.path)
	cmd.Env = append(cmd.Env, env)
	if sync {
		cmd.Env = append(cmd.Env, childSync+"=1")
	}
	c.flying = map[int]crashOp{}
	killChild(t, cmd, 10*time.Second, func(line string) {
		var worker int
		var full bool
		err := error(nil)
		if n, _ := fmt.Sscanf(line, "refused %d %t", &worker, &full); n == 2 && full {
			refused++
			delete(c.flying, worker)
		} else if n, _ := fmt.Sscanf(line, "waits %d %t", &worker, &full); n == 2 && full {
			refused++ // and stays in flight
			c.waited++
		} else {
			err = c.hear(strings.TrimSpace(line))
		}
		if err != nil {
			t.Errorf("after %q: %v", line, err)
		}
	})
	if c.waited > waited {
		lift()
	}
	c.checkFile(t)
	return refused
}

// TestFileLimit lets a process run into RLIMIT_FSIZE, in the middle of a page
// and elsewhere, with and without fsync.
func TestFileLimit(t *testing.T) {
	r := newRand(t)
	c := &crash{seen: map[string]int{}}
	refused, runs := 0, killsOf(t, 8)
	for i := range runs {
		if i%6 == 0 {
			c.begin(t, r)
		}
		refused += c.fill(t, i%2 == 0, fmt.Sprint(childRoom, "=", r.IntN(1<<(10+r.IntN(8)))), func() {})
		if t.Failed() {
			t.Fatalf("in run %d", i+1)
		}
	}
	t.Logf("%d operations refused, of which %d imports in the middle, %d acknowledged %v, %d stores checked", refused, c.waited, c.done, c.seen, runs)
	if refused < runs {
		t.Errorf("got %d operations refused in %d runs, want more", refused, runs)
	}
}

// TestDiskFull is TestFileLimit on a file system that is full.
func TestDiskFull(t *testing.T) {
	r := newRand(t)
	refused, runs := 0, 6
	c := &crash{seen: map[string]int{}}
	for i := range runs {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
			t.Skipf("cannot mount a small tmpfs here (%v): skipping", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		c.begin(t, r)
		c.move(t, filepath.Join(dir, "xpeft.db"))
		lift := func() {
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
		}
		refused += c.fill(t, i%2 == 0, childRoom+"=", lift)
		lift()
		c.checkFile(t)
	}
	t.Logf("%d operations refused, %d acknowledged %v, %d stores checked", refused, c.done, c.seen, runs)
	if refused < runs {
		t.Errorf("got %d operations refused in %d runs, want more", refused, runs)
	}
}

// move copies the store and its bundle to another path.
func (c *crash) move(t *testing.T, path string) {
	t.Helper()
	for _, end := range []string{"", ".bundle"} {
		b, err := os.ReadFile(c.path + end)
		if err == nil {
			err = os.WriteFile(path+end, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	copyKeys(t, c.path, path)
	c.path = path
}

func createInNoRoom(path string) error {
	var size uint64
	if _, err := fmt.Sscan(os.Getenv(childRoom), &size); err != nil {
		return err
	}
	if err := limitFiles(size); err != nil {
		return err
	}
	_, err := Create(path, testMeta, childOptions())
	fmt.Println(errors.Is(err, ErrFull), err)
	return nil
}

// TestCreateInNoRoom says that a file that cannot be written whole is not there.
func TestCreateInNoRoom(t *testing.T) {
	for _, size := range []int{0, 100, 4096, 10_000, 16_384, 20_000} {
		for _, env := range []string{"", childSync + "=1"} {
			dir := t.TempDir()
			c := child(t, childFullCreate, filepath.Join(dir, "xpeft.db"))
			c.Env = append(c.Env, fmt.Sprint(childRoom, "=", size), env)
			out, err := c.Output()
			if err != nil || !strings.HasPrefix(string(out), "true") {
				t.Errorf("%d bytes: got %q, %v, want ErrFull", size, out, err)
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) != 0 {
				t.Errorf("%d bytes: got files %v, %v, want none", size, files, err)
			}
		}
	}
}

// TestNotWritable opens a store that this process may only read.
func TestNotWritable(t *testing.T) {
	s := filled(t, newRand(t), 3)
	want, dir := contents(t, s), t.TempDir()
	path := filepath.Join(dir, "xpeft.db")
	backup(t, s, path)
	if os.Getuid() != 0 {
		if err := os.Chmod(path, 0o400); err != nil {
			t.Fatal(err)
		}
	} else { // to whom permissions say nothing
		err := syscall.Mount(dir, dir, "", syscall.MS_BIND, "")
		if err == nil {
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			err = syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")
		}
		if err != nil {
			t.Skipf("root, and cannot mount a folder read-only here (%v): skipping", err)
		}
	}
	if _, err := Open(path, fast); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
	if diff := openedState(t, path, true, want); diff != "" {
		t.Error(diff)
	}
}

// compactInNoRoom is the child of TestCompactInNoRoom.
func compactInNoRoom(path string) error {
	s, err := Open(path, childOptions())
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	err = limitFiles(uint64(info.Size() / 4))
	if err != nil {
		return err
	}
	_, err = s.Compact(ctx)
	fmt.Println(errors.Is(err, ErrFull), err)
	return s.Close()
}

// TestCompactInNoRoom says that a new file that cannot be written whole leaves
// the old one.
func TestCompactInNoRoom(t *testing.T) {
	for _, env := range []string{"", childSync + "=1"} {
		s := newStore(t, fast)
		secrets(t, s, 3000)
		want := contents(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c := child(t, childFullCompact, s.Path())
		c.Env = append(c.Env, env)
		out, err := c.Output()
		if err != nil || !strings.HasPrefix(string(out), "true") {
			t.Errorf("got %q, %v, want ErrFull", out, err)
		}
		if _, err := os.Stat(s.Path() + compactSuffix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want no second file", err)
		}
		if diff := openedState(t, s.Path(), false, want); diff != "" {
			t.Error(diff)
		}
	}
}
