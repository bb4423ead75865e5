package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test binary runs itself again as another process: which of these
// variables is set says what it is to do, and its value names the store.
const (
	childLock   = "XPEFT_STORE_TEST_LOCK"
	childImport = "XPEFT_STORE_TEST_IMPORT"
	childCrash  = "XPEFT_STORE_TEST_CRASH"
	childDamage = "XPEFT_STORE_TEST_DAMAGE"
	childWait   = "XPEFT_STORE_TEST_WAIT"
)

var children = map[string]func(path string) error{
	childLock: func(path string) error {
		_, err := Open(path, with(Options{Timeout: 100 * time.Millisecond}))
		fmt.Println(errors.Is(err, ErrLocked), err)
		return nil
	},
	childImport: importForever,
	childCrash:  changeForever,
	childDamage: damageForever,
	childWait:   putWhenFree,
}

func TestMain(m *testing.M) {
	for variable, run := range children {
		if path := os.Getenv(variable); path != "" {
			if err := run(path); err != nil {
				fmt.Println("error:", err)
			}
			return
		}
	}
	os.Exit(m.Run())
}

func child(t *testing.T, variable, path string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), variable+"="+path)
	return c
}

func TestLockedByAnotherProcess(t *testing.T) {
	s := newStore(t, fast)
	start := time.Now()
	out, err := child(t, childLock, s.Path()).Output()
	if err != nil || !strings.HasPrefix(string(out), "true") {
		t.Errorf("got %q, %v, want ErrLocked", out, err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v, want less than a second or so", took)
	}
}

// importForever imports the bundle beside the store under prefix after
// prefix, and says when each was done.
func importForever(path string) error {
	bundle, err := os.ReadFile(path + ".bundle")
	if err != nil {
		return err
	}
	s, err := Open(path, with(Options{NoSync: true}))
	if err != nil {
		return err
	}
	s.batch = 5
	n, err := s.Count()
	if err != nil {
		return err
	}
	fmt.Println("begun")
	for i := n; ; i++ {
		if _, err := s.Import(ctx, bytes.NewReader(bundle), ImportOptions{Prefix: fmt.Sprintf("%06d/", i)}); err != nil {
			return err
		}
		fmt.Println("done", i)
	}
}

// TestImportKilled kills a process that imports, at random moments. Each
// import is in the file whole or not at all, and those that it said it had
// done are.
func TestImportKilled(t *testing.T) {
	const profiles = 40
	r := newRand(t)
	from := filled(t, r, profiles)
	to := newStore(t, fast)
	path := to.Path()
	if err := os.WriteFile(path+".bundle", export(t, from, everything), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	kills := 12
	if testing.Short() || raceEnabled {
		kills = 4
	}
	for range kills {
		checkKilled(t, path, profiles, killImporter(t, path, r))
	}
}

// TestFirstImportKilled is TestImportKilled with a store that has no profiles.
func TestFirstImportKilled(t *testing.T) {
	const profiles = 1500
	r := newRand(t)
	bundle := export(t, filled(t, r, profiles), everything)
	kills := 8
	if testing.Short() || raceEnabled {
		kills = 3
	}
	for range kills {
		to := newStore(t, fast)
		path := to.Path()
		if err := errors.Join(to.Close(), os.WriteFile(path+".bundle", bundle, 0o600)); err != nil {
			t.Fatal(err)
		}
		checkKilled(t, path, profiles, killImporter(t, path, r))
	}
}

// checkKilled checks the store that the killed process has left, and that
// what it had done is there.
func checkKilled(t *testing.T, path string, profiles int, done []int) {
	t.Helper()
	s, err := Open(path, fast)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for p, err := range s.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		prefix, _, _ := strings.Cut(p.ID, "/")
		got[prefix]++
	}
	for prefix, n := range got {
		if n != profiles {
			t.Errorf("import %s: got %d profiles, want %d", prefix, n, profiles)
		}
	}
	for _, i := range done {
		if got[fmt.Sprintf("%06d", i)] != profiles {
			t.Errorf("import %d was done, but is not there", i)
		}
	}
	t.Logf("%d imports are there, %d had been done", len(got), len(done))
	if report, err := s.Check(ctx, true); err != nil {
		t.Errorf("%v %v", err, report.Problems)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// killImporter returns the imports that the process had said were done.
func killImporter(t *testing.T, path string, r *rand.Rand) (done []int) {
	t.Helper()
	killChild(t, child(t, childImport, path), time.Duration(r.IntN(40_000))*time.Microsecond, func(line string) {
		var i int
		if _, err := fmt.Sscanf(line, "done %d", &i); err != nil {
			t.Errorf("importer says %q", line)
		} else {
			done = append(done, i)
		}
	})
	return done
}

// killChild starts c, kills it a while after it has said that it has begun,
// and hands over the lines that it had said by then. A wait below zero counts
// from the start, so that it may die while it opens the store.
func killChild(t *testing.T, c *exec.Cmd, wait time.Duration, heard func(line string)) {
	t.Helper()
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = c.Process.Kill() } // SIGKILL
	if wait < 0 {
		time.AfterFunc(-wait, kill)
	}
	reader := bufio.NewReader(out)
	line, err := reader.ReadString('\n')
	if wait >= 0 {
		time.AfterFunc(wait, kill)
	}
	for ; err == nil; line, err = reader.ReadString('\n') {
		if line != "begun\n" {
			heard(line)
		}
	}
	if err != io.EOF && !errors.Is(err, os.ErrClosed) || line != "" {
		t.Errorf("got %v after %q", err, line)
	}
	_ = c.Wait()
}
