package main

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExitCodes(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice")
	empty := t.TempDir()
	newer := t.TempDir()
	tests := []struct {
		dir  string
		args string
		code int
	}{
		{dir, "", exitOK},
		{dir, "help", exitOK},
		{dir, "learn --help", exitOK},
		{dir, "frobnicate", exitUsage},
		{dir, "--frobnicate", exitUsage},
		{dir, "profiles --limit x", exitUsage},
		{dir, "profiles a b", exitUsage},
		{dir, "show", exitUsage},
		{dir, "show alice --masks --examples", exitUsage},
		{dir, "import --policy maybe", exitUsage},
		{dir, "export alice --prefix a", exitUsage},
		{dir, "bank convert x", exitUsage},
		{dir, "show nobody", exitNotFound},
		{dir, "export nobody -o " + filepath.Join(newer, "x"), exitNotFound},
		{dir, "import /does/not/exist", exitError},
		{empty, "profiles", exitNoStore},
		{empty, "check", exitNoStore},
		{empty, "import", exitNoStore},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			r := call(t, pure, test.dir, "", strings.Fields(test.args)...).want(t, test.code)
			if r.code != exitOK && r.out != "" {
				t.Errorf("stdout: got %q, want nothing", r.out)
			}
		})
	}
}

// TestWithoutCgo: the static program learns and answers, and says of a GPU what is missing.
func TestWithoutCgo(t *testing.T) {
	dir := learnedFolder(t)
	rep := call(t, pure, dir, examples("dave", 6), "learn", "--json").want(t, exitOK).rows(t)[0]
	if rep["engine"] != "native" || rep["device"] != "cpu" || rep["installed"] != true {
		t.Errorf("got %v, want a profile that the native engine learned", rep)
	}
	const text = "the server 7 is down"
	got := call(t, pure, dir, "", "predict", "-p", "dave", "--json", text).want(t, exitOK).rows(t)[0]
	want := call(t, full, dir, "", "predict", "-p", "dave", "--json", text).want(t, exitOK).rows(t)[0]
	if d := got["p"].(float64) - want["p"].(float64); got["label"] != want["label"] || math.Abs(d) > 1e-5 {
		t.Errorf("got %v, with cgo %v", got, want)
	}
	for _, args := range [][]string{{"learn"}, {"predict", "text"}} {
		if r := call(t, pure, dir, examples("dave", 1), append(args, "--device", "cuda")...); r.code != exitNoCUDA ||
			!strings.Contains(r.err, "-tags torch") {
			t.Errorf("%v on a GPU: got code %d and %q, want %d and the tag", args, r.code, r.err, exitNoCUDA)
		}
	}
}

// TestSignalWhileWaiting: an import that waits for its pipe ends with the signal, and leaves the
// folder free.
func TestSignalWhileWaiting(t *testing.T) {
	dir := newFolder(t)
	cmd := exec.Command(pure, "import", "--json")
	cmd.Env = append(os.Environ(), "XPEFT_DIR="+dir)
	in, err := cmd.StdinPipe()
	must(t, err)
	defer in.Close()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	must(t, cmd.Start())
	time.Sleep(2 * time.Second)
	stop(t, cmd, syscall.SIGINT, 130)
	if got := errs.String(); !strings.Contains(got, `"code":"interrupted","exit":130`) {
		t.Errorf("stderr: got %q, want interrupted", got)
	}
	call(t, pure, dir, "", "profiles").want(t, exitOK)
}

// stop sends a signal and checks the exit code.
func stop(t *testing.T, cmd *exec.Cmd, s syscall.Signal, want int) {
	t.Helper()
	must(t, cmd.Process.Signal(s))
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		t.Fatalf("the process runs on 20 s after %v", s)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("exit code after %v: got %d, want %d", s, got, want)
	}
}

func TestSuggestion(t *testing.T) {
	r := call(t, pure, t.TempDir(), "", "profile").want(t, exitUsage)
	if !strings.Contains(r.err, "Did you mean this?; profiles") {
		t.Errorf("stderr: got %q, want a suggestion", r.err)
	}
}

func TestCompletion(t *testing.T) {
	dir := newFolder(t)
	fill(t, dir, "alice", "albert", "bob")
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := call(t, pure, dir, "", "completion", shell).want(t, exitOK).out; !strings.Contains(got, "xpeft") ||
			len(got) < 1000 {
			t.Errorf("completion %s: got %d bytes, want a script", shell, len(got))
		}
	}
	// What the scripts call: candidates, then a directive; cobra explains the directive on stderr.
	for _, test := range []struct {
		args string
		want []string
	}{
		{"show al", []string{"albert", "alice"}},
		{"import --policy ", []string{"fail", "skip", "overwrite", "rename"}},
		{"learn --device ", []string{"cpu", "cuda", "auto"}},
	} {
		args := append([]string{"__complete"}, strings.Split(test.args, " ")...)
		r := call(t, pure, dir, "", args...)
		got := strings.Split(strings.TrimSpace(r.out), "\n")
		if diff := cmp.Diff(append(slices.Clone(test.want), ":4"), got); diff != "" {
			t.Errorf("complete %q (-want +got):\n%s", test.args, diff)
		}
	}
}
