package fleet

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/xpeft/xpeft/sdk"
)

// tally counts the messages of nodes that requests cause: those of the servers' own statistics of
// connections, without what a node that nobody asks sends and receives too, its beats and its polls
// for messages.
type tally struct {
	c     *cluster
	nodes []*Node
	nc    *nats.Conn
	js    jetstream.JetStream
	mu    sync.Mutex
	beats map[string]time.Time // each node's newest
	idle  map[string]int64
}

func newTally(c *cluster, nodes []*Node) *tally {
	nc, err := nats.Connect(c.urls())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(nc.Close)
	y := &tally{c: c, nodes: nodes, nc: nc, beats: map[string]time.Time{}, idle: map[string]int64{}}
	if y.js, err = jetstream.New(nc); err == nil {
		_, err = nc.Subscribe(">", y.hear)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return y
}

// hear counts idle talk, among all messages that the servers deliver.
func (y *tally) hear(m *nats.Msg) {
	y.mu.Lock()
	defer y.mu.Unlock()
	name := lastToken(m.Subject)
	beat := strings.Contains(m.Subject, "."+nodeKey) && strings.HasPrefix(m.Reply, "_INBOX.")
	if beat && time.Since(y.beats[name]) > y.nodes[0].beatEvery()*3/4 { // not one that a request makes
		y.beats[name] = time.Now()
		y.idle[name] += 2           // and its answer
		for _, n := range y.nodes { // and to each node
			y.idle[n.config.Node]++
		}
	}
	for _, n := range y.nodes {
		inbox := "_INBOX.xpeft." + n.config.Node + "."
		if strings.Contains(m.Subject, ".MSG.NEXT.") && strings.HasPrefix(m.Reply, inbox) ||
			m.Header.Get("Status") != "" && strings.HasPrefix(m.Subject, inbox) {
			y.idle[n.config.Node]++
		}
	}
}

// count is of the messages of each node up to now, and of all nodes' passes and trainings.
func (y *tally) count() (messages []int64, passes, learned int64) {
	t := y.c.t
	y.settle()
	if err := y.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	all := map[string]int64{}
	for _, s := range y.c.servers {
		z, err := s.Connz(&server.ConnzOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range z.Conns {
			all[strings.TrimPrefix(c.Name, "xpeft-fleet ")] += c.InMsgs + c.OutMsgs
		}
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, n := range y.nodes {
		messages = append(messages, all[n.config.Node]-y.idle[n.config.Node])
		s, err := n.folder.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		passes, learned = passes+s.Passes.Passes, learned+s.Learns
	}
	return messages, passes, learned
}

// settle waits until nothing waits, and each node has every value.
func (y *tally) settle() {
	within(y.c.t, patience, "rest", func() bool {
		ops, err := y.js.Stream(y.c.t.Context(), y.nodes[0].opsStream(0))
		if err != nil || ops.CachedInfo().State.Msgs > 0 {
			return false
		}
		keys, err := y.js.Consumer(y.c.t.Context(), y.nodes[0].keysStream(0), learnConsumer)
		if err != nil || keys.CachedInfo().NumPending > 0 || keys.CachedInfo().NumAckPending > 0 {
			return false
		}
		last, err := y.js.Stream(y.c.t.Context(), y.nodes[0].valuesStream(0))
		for _, n := range y.nodes {
			if err != nil || n.state.place(0).Seq < last.CachedInfo().State.LastSeq {
				return false
			}
		}
		return true
	})
}

// counted is what one request costs.
type counted struct{ passes, learned, asked, learner, other float64 }

// countRequests makes the same requests of the first of some nodes beside a learner, one after
// another, and returns what each kind costs.
func countRequests(t *testing.T, nodes int) map[string]counted {
	c := newCluster(t, nil)
	l := testLayout(t)
	l.Partitions, l.Lease = 1, time.Minute // no renewals
	if err := Create(t.Context(), c.config("operator"), l); err != nil {
		t.Fatal(err)
	}
	var all []*Node
	for i := range nodes + 1 { // the learner comes last
		config := c.config(fmt.Sprintf("n%d", i))
		config.Learner, config.MaxStale = i == nodes, 80*time.Second // a beat each ten seconds
		all = append(all, c.open(config))
	}
	a, y := all[0], newTally(c, all)
	person := func(i int) string { return fmt.Sprintf("person %d", i) }
	out := map[string]counted{}
	for _, kind := range []struct {
		name string
		n    int
		do   func(i int) error
	}{
		{"Observe, the first", 12, func(i int) error { return a.Observe(t.Context(), person(i), messages[0]) }},
		{"Observe, a later one", 12, func(i int) error { return a.Observe(t.Context(), person(i), messages[5]) }},
		{"Learn, 12 examples", 3, func(i int) error {
			_, err := a.Learn(t.Context(), person(100+i), messages, nil)
			return err
		}},
		{"Predict", 12, func(i int) error {
			_, err := a.Predict(t.Context(), person(i), "the lift is stuck", &sdk.PredictOptions{Fallback: sdk.FallbackBase})
			return err
		}},
	} {
		before, passes, learned := y.count()
		for i := range kind.n {
			if err := kind.do(i); err != nil {
				t.Fatal(err)
			}
			y.settle()
		}
		after, p, le := y.count()
		per := func(n int64) float64 { return float64(n) / float64(kind.n) }
		one := counted{passes: per(p - passes), learned: per(le - learned), asked: per(after[0] - before[0]),
			learner: per(after[nodes] - before[nodes])}
		for i := 1; i < nodes; i++ {
			one.other = max(one.other, per(after[i]-before[i]))
		}
		out[kind.name] = one
	}
	return out
}

// TestCounted: a request costs the node that was asked and the learner as many forward passes,
// trainings and messages in a fleet of three nodes as in one of one node; every other node gets the
// value and, of a new person, its key.
func TestCounted(t *testing.T) {
	t.Parallel()
	var grown []string
	for range 3 { // what a busy machine lets be asked twice counts twice
		if grown = compareCounts(t); len(grown) == 0 {
			return
		}
	}
	t.Error(strings.Join(grown, "\n"))
}

// compareCounts prints what requests cost in fleets of two sizes, and returns what grows.
func compareCounts(t *testing.T) (grown []string) {
	small, large := countRequests(t, 1), countRequests(t, 3)
	t.Logf("%-20s %5s %6s %9s %11s %11s %15s", "a request", "nodes", "passes", "trainings", "asked: msgs", "learner", "each other node")
	for _, kind := range []string{"Observe, the first", "Observe, a later one", "Learn, 12 examples", "Predict"} {
		one, three := small[kind], large[kind]
		for i, r := range []counted{one, three} {
			t.Logf("%-20s %5d %6.2f %9.2f %11.1f %11.1f %15.1f", kind, 1+2*i, r.passes, r.learned, r.asked, r.learner, r.other)
		}
		most := map[string]float64{"Observe, a later one": 1, "Predict": 0}
		if _, ok := most[kind]; !ok {
			most[kind] = 3 // the value, a request for the key, and its answer
		}
		if three.passes > one.passes || three.learned > one.learned || three.asked > one.asked+0.5 ||
			three.learner > one.learner+0.5 || three.other > most[kind]+0.5 {
			grown = append(grown, fmt.Sprintf("%s: got %+v with three nodes, want no more than %+v with one, and %.0f messages for each other",
				kind, three, one, most[kind]))
		}
	}
	return grown
}
