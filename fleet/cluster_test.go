package fleet

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/xpeft/xpeft/sdk"
)

// cluster is three NATS servers in this process, with their streams on disk.
type cluster struct {
	t       *testing.T
	servers []*server.Server
	options []*server.Options
}

func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	var open []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, l)
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	for _, l := range open {
		l.Close()
	}
	return ports
}

// newCluster starts three servers; change may change their options.
func newCluster(t *testing.T, change func(*server.Options)) *cluster {
	t.Helper()
	c := &cluster{t: t}
	ports := freePorts(t, 6)
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
	}
	for i := range 3 {
		o := &server.Options{ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: ports[i], NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(t.TempDir(), "js"), JetStreamMaxStore: 4 << 30,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[3+i]},
			Routes:  server.RoutesFromStr(strings.Join(routes, ","))}
		if change != nil {
			change(o)
		}
		c.options = append(c.options, o)
		c.servers = append(c.servers, nil)
		c.start(i)
	}
	t.Cleanup(func() {
		for i := range c.servers {
			c.stop(i)
		}
	})
	c.ready()
	return c
}

func (c *cluster) start(i int) {
	c.t.Helper()
	s, err := server.NewServer(c.options[i])
	if err != nil {
		c.t.Fatal(err)
	}
	if c.servers[i] = s; os.Getenv("XPEFT_NATS_LOG") != "" {
		s.ConfigureLogger()
	}
	go s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		c.t.Fatal("a NATS server did not start")
	}
}

func (c *cluster) stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

// ready waits until the servers have a leader.
func (c *cluster) ready() {
	c.t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, s := range c.servers {
			if s.Running() && s.JetStreamIsLeader() {
				return
			}
		}
	}
	c.t.Fatal("the NATS servers have no leader")
}

func (c *cluster) urls() string {
	var all []string
	for _, o := range c.options {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", o.Port))
	}
	return strings.Join(all, ",")
}

var labels = []string{"urgent", "later", "ignore"}

// testLayout is a small one, with the real encoder.
func testLayout(t *testing.T) Layout {
	t.Helper()
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: see CONTRIBUTING.md")
	}
	return Layout{Folder: sdk.Config{Model: model, Labels: labels}, Partitions: 2, Lease: 3 * time.Second}
}

func (c *cluster) config(name string) Config {
	return Config{Node: name, Servers: c.urls(), Secret: []byte(strings.Repeat("s", keySize)),
		Dir: filepath.Join(c.t.TempDir(), name), MaxStale: 10 * time.Second,
		Folder: &sdk.Options{Workers: 1, Threads: 1}, Logger: slog.New(slog.NewTextHandler(c.t.Output(),
			&slog.HandlerOptions{Level: slog.LevelWarn})).With("node", name)}
}

// newFleet makes a fleet on new servers.
func newFleet(t *testing.T, change func(*server.Options)) *cluster {
	t.Helper()
	c := newCluster(t, change)
	if err := Create(t.Context(), c.config("operator"), testLayout(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

// open joins, as a learner or not.
func (c *cluster) open(config Config) *Node {
	c.t.Helper()
	n, err := Open(c.t.Context(), config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := n.Close(); err != nil {
			c.t.Errorf("closing a node: %v", err)
		}
	})
	return n
}

func (c *cluster) learner(name string) *Node {
	config := c.config(name)
	config.Learner = true
	return c.open(config)
}
