package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/xpeft/xpeft/sdk"
)

// cluster is three NATS servers in this process, with their streams on disk.
type cluster struct {
	t       *testing.T
	fleet   string // that this test makes on them
	servers []*server.Server
	options []*server.Options
}

// ports are those that freePorts gave out: none is given to two tests.
var ports sync.Map

func freePorts(t *testing.T, n int) (free []int) {
	t.Helper()
	var open []net.Listener
	for len(free) < n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, l)
		port := l.Addr().(*net.TCPAddr).Port
		if _, given := ports.LoadOrStore(port, true); !given {
			free = append(free, port)
		}
	}
	for _, l := range open {
		l.Close()
	}
	return free
}

// newCluster starts three servers; change may change their options.
func newCluster(t *testing.T, change func(*server.Options)) *cluster {
	t.Helper()
	c := startCluster(t, t.TempDir(), change)
	t.Cleanup(c.close)
	return c
}

func startCluster(t *testing.T, dir string, change func(*server.Options)) *cluster {
	t.Helper()
	c := &cluster{t: t, fleet: "xpeft"}
	ports := freePorts(t, 6)
	var routes []string
	for i := range 3 {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", ports[3+i]))
	}
	for i := range 3 {
		o := &server.Options{ServerName: fmt.Sprintf("s%d", i), Host: "127.0.0.1", Port: ports[i], NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprint(i)), JetStreamMaxStore: 4 << 30,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[3+i]},
			Routes:  server.RoutesFromStr(strings.Join(routes, ","))}
		if change != nil {
			change(o)
		}
		c.options = append(c.options, o)
		c.servers = append(c.servers, nil)
		c.start(i)
	}
	c.formed()
	return c
}

func (c *cluster) close() {
	for i := range c.servers {
		c.stop(i)
	}
}

// shared are servers for the fleets of all tests that leave the servers alone, and a model for
// their nodes. TestMain closes them.
var shared struct {
	sync.Mutex
	dir     string
	cluster *cluster
	model   *sdk.Model
}

// testModel is one for all nodes in this process.
func testModel(t *testing.T) *sdk.Model {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.model == nil {
		var err error
		shared.model, err = sdk.OpenModel(context.Background(), modelDir(t), &sdk.ModelOptions{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
	}
	return shared.model
}

// sharedCluster is the shared servers, with a fleet of the test's own name to be.
func sharedCluster(t *testing.T) *cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		var err error
		if shared.dir, err = os.MkdirTemp("", "xpeft-fleet-test-"); err != nil {
			t.Fatal(err)
		}
		shared.cluster = startCluster(t, shared.dir, nil)
	}
	c := *shared.cluster
	c.t, c.fleet = t, t.Name()
	return &c
}

func closeShared() {
	if shared.cluster != nil {
		shared.cluster.close()
		os.RemoveAll(shared.dir)
	}
	if shared.model != nil {
		shared.model.Close()
	}
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
	if !s.ReadyForConnections(patience) {
		c.t.Fatal("a NATS server did not start")
	}
}

func (c *cluster) stop(i int) {
	c.servers[i].Shutdown()
	c.servers[i].WaitForShutdown()
}

// ready waits until the servers have a leader.
func (c *cluster) ready() (leader *server.Server) {
	c.t.Helper()
	within(c.t, patience, "leader of the NATS servers", func() bool {
		i := slices.IndexFunc(c.servers, func(s *server.Server) bool { return s.Running() && s.JetStreamIsLeader() })
		if i >= 0 {
			leader = c.servers[i]
		}
		return i >= 0
	})
	return leader
}

// formed waits until their leader has taken all servers in, and they have stored that: one that is
// stopped before has no vote when they start again.
func (c *cluster) formed() {
	c.t.Helper()
	within(c.t, patience, "leader that all NATS servers follow", func() bool {
		state, err := c.ready().Jsz(nil)
		if err != nil {
			c.t.Fatal(err)
		}
		current := 0
		for _, other := range state.Meta.Replicas {
			if other.Current && !other.Offline {
				current++
			}
		}
		return current == len(c.servers)-1
	})
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
	return Layout{Folder: sdk.Config{Labels: labels, Options: &sdk.Options{Encoder: testModel(t)}},
		Partitions: 2, Lease: 3 * time.Second}
}

func modelDir(t *testing.T) string {
	t.Helper()
	model := os.Getenv("XPEFT_MODEL")
	if model == "" {
		t.Fatal("XPEFT_MODEL is not set: see CONTRIBUTING.md")
	}
	return model
}

func (c *cluster) config(name string) Config {
	return Config{Fleet: c.fleet, Node: name, Servers: c.urls(), Secret: []byte(strings.Repeat("s", keySize)),
		Dir: filepath.Join(c.t.TempDir(), name), MaxStale: 30 * time.Second,
		Folder: &sdk.Options{Workers: 1, Threads: 1, Encoder: testModel(c.t)},
		Logger: slog.New(slog.NewTextHandler(c.t.Output(),
			&slog.HandlerOptions{Level: slog.LevelWarn})).With("node", name)}
}

// newFleet makes a fleet of the test's own on the shared servers.
func newFleet(t *testing.T) *cluster {
	t.Helper()
	c := sharedCluster(t)
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
