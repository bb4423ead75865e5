package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// openPTY returns both ends of a pseudo-terminal.
func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	var number, unlocked int32
	for request, arg := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlocked} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, master.Fd(), request,
			uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Fatal(errno)
		}
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(t, err)
	return master, slave
}

// callOnTerminal runs a binary whose stderr is a terminal, and returns what that showed.
func callOnTerminal(t *testing.T, binary, dir, stdin string, args ...string) (out, shown string) {
	t.Helper()
	master, slave := openPTY(t)
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "XPEFT_DIR="+dir, "TERM=xterm")
	cmd.Stdin = strings.NewReader(stdin)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, slave
	must(t, cmd.Start())
	slave.Close()
	screen := make(chan string)
	go func() {
		b, _ := io.ReadAll(master) // ends with EIO when the program does
		screen <- string(b)
	}()
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v on a terminal: %v", args, err)
	}
	return stdout.String(), <-screen
}

func TestBarsOnATerminal(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice", "bob")
	bundle := filepath.Join(t.TempDir(), "b")
	out, shown := callOnTerminal(t, pure, dir, "", "export", "-o", bundle, "--json")
	if !strings.Contains(shown, "writing") {
		t.Errorf("stderr on a terminal: got %q, want a progress bar", shown)
	}
	if !strings.HasPrefix(out, `{"file":`) {
		t.Errorf("stdout: got %q, want the report alone", out)
	}
	// call's stderr is a pipe: want fails on anything that is written to it.
	call(t, pure, dir, "", "export", "-o", bundle).want(t, exitOK)
	call(t, pure, newFolder(t), "", "import", bundle).want(t, exitOK)
}

func TestNoBundleOnATerminal(t *testing.T) {
	dir := newFolder(t)
	master, slave := openPTY(t)
	defer slave.Close()
	go io.Copy(io.Discard, master)
	cmd := exec.Command(pure, "export")
	cmd.Env = append(os.Environ(), "XPEFT_DIR="+dir)
	cmd.Stdout = slave
	cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != exitUsage {
		t.Errorf("export to a terminal: exit code: got %d, want %d", got, exitUsage)
	}
}
