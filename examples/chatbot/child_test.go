package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childDir names the folder that the test binary serves, as the program itself does, instead of running tests.
const childDir = "CHATBOT_TEST_SERVE"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintf(os.Stderr, "goroutines=%s\n", listener.Addr())
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, runtime.NumGoroutine()) }))
	os.Args = []string{"chatbot", "-addr", "127.0.0.1:0", "-dir", dir, "-labels", strings.Join(labels, ",")}
	main()
}

// child is the chatbot in a process of its own.
type child struct {
	t          *testing.T
	cmd        *exec.Cmd
	url        string
	goroutines string // address of the count
	ended      chan error
	drained    int64 // requests that reached a handler, as it logged at its end; -1: it did not
}

var (
	goroutinesAt = regexp.MustCompile(`^goroutines=(\S+)`)
	servingAt    = regexp.MustCompile(`msg=serving address=(\S+)`)
	drainedSays  = regexp.MustCompile(`msg=drained requests=(\d+)`)
)

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{t: t, cmd: exec.Command(os.Args[0]), ended: make(chan error, 1), drained: -1}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir)
	stderr, err := c.cmd.StderrPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	serving := make(chan bool)
	go c.read(stderr, serving)
	select {
	case <-serving:
	case err := <-c.ended:
		t.Fatalf("the server ended: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the server does not serve")
	}
	return c
}

// read follows the log to its end, and then says how the process ended.
func (c *child) read(log io.Reader, serving chan<- bool) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		line := lines.Text()
		if m := goroutinesAt.FindStringSubmatch(line); m != nil {
			c.goroutines = m[1]
		}
		if m := servingAt.FindStringSubmatch(line); m != nil {
			c.url = "http://" + m[1]
			close(serving)
		}
		if m := drainedSays.FindStringSubmatch(line); m != nil {
			c.drained, _ = strconv.ParseInt(m[1], 10, 64)
		}
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") || strings.HasPrefix(line, "panic") {
			c.t.Logf("server: %s", line)
		}
	}
	c.ended <- c.cmd.Wait()
}

func (c *child) terminate() {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Errorf("SIGTERM: %v", err)
	}
}

// wait is how the process ended.
func (c *child) wait() error {
	select {
	case err := <-c.ended:
		return err
	case <-time.After(2 * (drainTime + answerTime)):
		return fmt.Errorf("the server did not end in %v", 2*(drainTime+answerTime))
	}
}

func (c *child) countGoroutines() int {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + c.goroutines)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	n, err := strconv.Atoi(string(body))
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

var anonymous = regexp.MustCompile(`RssAnon:\s+(\d+) kB`)

// memory is the process's own bytes in memory, without those of files that are mapped; false where there is no /proc.
func (c *child) memory() (bytes float64, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	m := anonymous.FindSubmatch(data)
	if err != nil || m == nil {
		return 0, false
	}
	kib, err := strconv.ParseFloat(string(m[1]), 64)
	return kib * 1024, err == nil
}
