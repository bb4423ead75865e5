package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/xpeft/xpeft/sdk"
)

// TestMain runs this binary as a server or as a node, for tests that kill them.
func TestMain(m *testing.M) {
	arg := os.Getenv("XPEFT_FLEET_CHILD_ARG")
	switch os.Getenv("XPEFT_FLEET_CHILD") {
	case "server":
		childServer(arg)
	case "node":
		if err := childNode(arg, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	flag.Set("test.parallel", "8") // tests wait for elections and silence most of the time
	code := m.Run()
	closeShared()
	os.Exit(code)
}

// serverArg is what a server process is told.
type serverArg struct {
	Name, Dir, Routes string
	Port, Route       int
	SyncAlways        bool
}

func childServer(arg string) {
	var a serverArg
	if err := json.Unmarshal([]byte(arg), &a); err != nil {
		panic(err)
	}
	o := &server.Options{ServerName: a.Name, Host: "127.0.0.1", Port: a.Port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: a.Dir, JetStreamMaxStore: 16 << 30, SyncAlways: a.SyncAlways}
	if a.Route != 0 {
		o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: a.Route}
		o.Routes = server.RoutesFromStr(a.Routes)
	}
	s, err := server.NewServer(o)
	if err != nil {
		panic(err)
	}
	s.Start()
	go func() { io.Copy(io.Discard, os.Stdin); os.Exit(0) }() // with its parent
	s.WaitForShutdown()
}

// nodeArg is what a node process is told.
type nodeArg struct {
	Name, Servers, Dir string
	Learner            bool
	MaxStale           time.Duration
}

// String leaves out what is empty.
func (r reply) String() string { return fmt.Sprintf("%s%v e%d", r.Err, r.Told, r.Epoch) }

// request is what a node process is asked, and reply what it says.
type request struct {
	N                   int
	Do, ID, Text, Label string
	Timeout             time.Duration
}

type reply struct {
	N      int
	Epoch  uint64
	Err    string // "", "not found", "refused", "unknown", or an error of the test
	Later  bool
	Lost   bool     // of a forget: whether anybody was there is not known
	Told   []string // text=label of each example, sorted
	Source string
	Stats  *Stats
	People int64 // in the folder
}

func childNode(arg string, in io.Reader, out io.Writer) error {
	var a nodeArg
	if err := json.Unmarshal([]byte(arg), &a); err != nil {
		return err
	}
	level := slog.LevelError
	if os.Getenv("XPEFT_FLEET_PROFILES") != "" { // no faults: what is logged may say why a load fails
		level = slog.LevelWarn
	}
	config := Config{Node: a.Name, Servers: a.Servers, Dir: a.Dir, Learner: a.Learner,
		Secret: []byte(strings.Repeat("s", keySize)), MaxStale: a.MaxStale, PublishWait: time.Millisecond, Learning: 16,
		NATS:   []nats.Option{nats.IgnoreDiscoveredServers(), nats.PingInterval(time.Second)},
		Folder: &sdk.Options{Workers: 1, Threads: 1, CacheBytes: 16 << 20},
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	n, err := Open(context.Background(), config)
	for tries := 0; err != nil && tries < 200; tries++ { // as a supervisor does, while servers have no leader
		time.Sleep(time.Second)
		n, err = Open(context.Background(), config)
	}
	if err != nil {
		return err
	}
	var mu sync.Mutex
	enc := json.NewEncoder(out)
	say := func(r reply) { mu.Lock(); defer mu.Unlock(); enc.Encode(r) }
	say(reply{N: -1})
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		go func() { say(n.serve(r)) }()
	}
	return n.Close()
}

// serve does what is asked.
func (n *Node) serve(r request) reply {
	ctx, stop := context.WithTimeout(context.Background(), r.Timeout)
	defer stop()
	out, err := reply{N: r.N}, error(nil)
	example := sdk.Example{Text: r.Text, Label: r.Label}
	switch r.Do {
	case "observe":
		o := op{ID: newID(), Kind: opObserve, Profile: r.ID, Examples: []sdk.Example{example}}
		var number uint64
		number, err = n.acceptHere(ctx, n.secrets.nameOf(r.ID), &o)
		poke(n.wake)
		if err == nil {
			err = n.sent(ctx, number)
		}
		out.Epoch = o.Epoch
	case "learn":
		var a answer
		a, err = n.ask(ctx, op{Kind: opLearn, Profile: r.ID, Examples: []sdk.Example{example}})
		out.Epoch = a.epoch
	case "forget":
		var a answer
		a, err = n.ask(ctx, op{Kind: opForget, Profile: r.ID})
		out.Epoch, out.Lost = a.epoch, a.lost
	case "latest":
		var a answer
		a, err = n.ask(ctx, op{Kind: opRead, Profile: r.ID})
		out.Told, out.Epoch = told(a.Examples), a.epoch
	case "local":
		var all []sdk.StoredExample
		for e, readErr := range n.folder.Examples(ctx, r.ID) {
			if err = readErr; err == nil {
				all = append(all, e)
			}
		}
		out.Told = told(all)
	case "predict":
		var p sdk.Prediction
		p, err = n.Predict(ctx, r.ID, r.Text, nil)
		out.Source, out.Told = string(p.Source), []string{p.Label}
	case "drain":
		err = n.Drain(ctx)
	case "stats":
		s := n.Stats()
		var f sdk.Stats
		f, err = n.folder.Stats(ctx)
		out.Stats, out.People = &s, f.Store.Profiles
	}
	switch {
	case err == nil:
	case errors.Is(err, sdk.ErrProfileNotFound):
		out.Err = "not found"
	case errors.Is(err, sdk.ErrConflict), errors.Is(err, ErrStale):
		out.Err = "no effect"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrReportLost):
		out.Err = "unknown"
	default:
		out.Err = err.Error()
	}
	return out
}

func told(all []sdk.StoredExample) (out []string) {
	for _, e := range all {
		out = append(out, e.Text+"="+e.Label)
	}
	slices.Sort(out)
	return out
}

// child is a process.
type child struct {
	t    *testing.T
	kind string
	arg  string
	mu   sync.Mutex
	cmd  *exec.Cmd
	in   io.WriteCloser
	next int
	open map[int]chan reply
	up   chan struct{} // closed when it serves
}

func newChild(t *testing.T, kind string, arg any) *child {
	t.Helper()
	data, err := json.Marshal(arg)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, kind: kind, arg: string(data), open: map[int]chan reply{}}
	t.Cleanup(c.kill)
	c.start()
	return c
}

func (c *child) start() {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "XPEFT_FLEET_CHILD="+c.kind, "XPEFT_FLEET_CHILD_ARG="+c.arg, "GOMAXPROCS=2")
	cmd.Stderr = c.t.Output()
	in, err := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err = errors.Join(err, outErr, cmd.Start()); err != nil {
		c.t.Error(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cmd, c.in, c.up = cmd, in, make(chan struct{})
	go c.read(out, c.up)
}

func (c *child) read(out io.Reader, up chan struct{}) {
	for dec := json.NewDecoder(out); ; {
		var r reply
		if dec.Decode(&r) != nil {
			break
		}
		if r.N < 0 {
			close(up)
			continue
		}
		c.mu.Lock()
		if ch := c.open[r.N]; ch != nil {
			ch <- r
			delete(c.open, r.N)
		}
		c.mu.Unlock()
	}
}

// ask asks a node process; what it does not answer in time is unknown.
func (c *child) ask(r request) reply {
	if r.Timeout == 0 {
		r.Timeout = 15 * time.Second
	}
	ch := make(chan reply, 1)
	c.mu.Lock()
	c.next++
	r.N = c.next
	c.open[r.N] = ch
	data, _ := json.Marshal(r)
	_, err := c.in.Write(append(data, '\n'))
	c.mu.Unlock()
	if err != nil {
		return reply{Err: "unknown"}
	}
	select {
	case got := <-ch:
		return got
	case <-time.After(r.Timeout + 2*time.Second):
		return reply{Err: "unknown"}
	}
}

func (c *child) signal(s syscall.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil && c.cmd.Process != nil {
		c.cmd.Process.Signal(s)
	}
}

func (c *child) kill() {
	c.signal(syscall.SIGKILL)
	c.mu.Lock()
	cmd := c.cmd
	c.cmd = nil
	for n, ch := range c.open {
		ch <- reply{N: n, Err: "unknown"}
		delete(c.open, n)
	}
	c.mu.Unlock()
	if cmd != nil {
		cmd.Wait()
	}
}

// serves waits until a node process serves.
func (c *child) serves(most time.Duration) bool {
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
		return true
	case <-time.After(most):
		return false
	}
}

// processes are a fleet whose servers and nodes are processes.
type processes struct {
	t       *testing.T
	servers []*child
	nodes   []*child
	links   []proxies
	dir     string
	urls    string
	nc      *nats.Conn
}

func newProcesses(t *testing.T, nodes, learners int, maxStale time.Duration, syncAlways bool) *processes {
	t.Helper()
	ports := freePorts(t, 6)
	var routes, urls []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", ports[i]))
	}
	p := &processes{t: t, dir: t.TempDir(), urls: strings.Join(urls, ",")}
	dir := p.dir
	for i := range 3 {
		p.servers = append(p.servers, newChild(t, "server", serverArg{Name: fmt.Sprintf("s%d", i),
			Dir: filepath.Join(dir, fmt.Sprintf("s%d", i)), Routes: strings.Join(routes, ","), Port: ports[i], Route: ports[3+i],
			SyncAlways: syncAlways}))
	}
	within(t, patience, "NATS", func() bool {
		err := Create(t.Context(), Config{Node: "operator", Servers: p.urls, Secret: []byte(strings.Repeat("s", keySize))},
			testLayout(t))
		return err == nil || errors.Is(err, sdk.ErrExists)
	})
	for i := range nodes {
		var link proxies
		for _, port := range ports[:3] {
			link = append(link, newProxy(t, fmt.Sprintf("127.0.0.1:%d", port)))
		}
		name := fmt.Sprintf("n%d", i)
		p.links = append(p.links, link)
		p.nodes = append(p.nodes, newChild(t, "node", nodeArg{Name: name, Servers: link.urls(), MaxStale: maxStale,
			Dir: filepath.Join(dir, name), Learner: i < learners}))
	}
	for i, n := range p.nodes {
		if !n.serves(patience) {
			t.Fatalf("node %d does not serve", i)
		}
	}
	var err error
	if p.nc, err = nats.Connect(p.urls, nats.MaxReconnects(-1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.nc.Close)
	return p
}
