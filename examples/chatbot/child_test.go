package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// childDir names the folder that the test binary serves, as the program itself does, instead of
// running tests.
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
	fmt.Fprintf(os.Stderr, "inside=%s\n", listener.Addr())
	go http.Serve(listener, http.HandlerFunc(serveInside))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	b := bot{dir: dir, config: sdk.Config{Model: os.Getenv("XPEFT_MODEL"), Labels: labels}, limits: unlimited,
		log: slog.New(slog.NewTextHandler(os.Stderr, nil)), ready: func(url string) { fmt.Fprintf(os.Stderr, "serving=%s\n", url) }}
	if err := b.run(ctx, "127.0.0.1:0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is the chatbot in a process of its own.
type child struct {
	t       *testing.T
	cmd     *exec.Cmd
	url     string
	inside  string // address of serveInside
	ended   chan error
	drained int64 // requests that reached a handler, as it logged at its end; -1: it did not
}

var (
	insideAt    = regexp.MustCompile(`^inside=(\S+)`)
	servingAt   = regexp.MustCompile(`^serving=(\S+)`)
	drainedSays = regexp.MustCompile(`msg=drained requests=(\d+)`)
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
		if m := insideAt.FindStringSubmatch(line); m != nil {
			c.inside = m[1]
		}
		if m := servingAt.FindStringSubmatch(line); m != nil {
			c.url = m[1]
			close(serving)
		}
		if m := drainedSays.FindStringSubmatch(line); m != nil {
			c.drained, _ = strconv.ParseInt(m[1], 10, 64)
		}
		if strings.Contains(line, "level=ERROR") || strings.Contains(line, "level=WARN") ||
			strings.HasPrefix(line, "panic") {
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
	case <-time.After(time.Minute): // twice what serve has to drain
		return errors.New("the server did not end in a minute")
	}
}
