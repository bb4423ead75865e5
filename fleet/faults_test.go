package fleet

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/nats-io/nats.go/jetstream"
)

// said is an operation of the history, as a node was asked it.
type said struct {
	do, id, text, label string
	epoch               uint64
}

func (s said) String() string {
	return fmt.Sprintf("%s %s %s=%s e%d", s.do, s.id, s.text, s.label, s.epoch)
}

// model is a profile, as a map from texts to labels that Forget empties: the epoch counts these. An
// operation of an epoch that is over does nothing. A state is an epoch and the map, sorted. Of an
// operation whose answer is unknown the epoch is, too: it was done, or not.
var model = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := map[string][]porcupine.Operation{}
		for _, o := range history {
			by[o.Input.(said).id] = append(by[o.Input.(said).id], o)
		}
		return slices.Collect(maps.Values(by))
	},
	Init: func() []any { return []any{"0"} },
	Step: func(state, in, out any) []any {
		parts := strings.Split(state.(string), "\n")
		epoch, _ := strconv.ParseUint(parts[0], 10, 64)
		o, r := in.(said), out.(reply)
		next, ok := o.after(epoch, parts[1:], r)
		switch {
		case r.Err == "unknown":
			return []any{state, next}
		case o.epoch < epoch:
			return []any{state}
		case o.epoch > epoch || !ok: // nobody can know of an epoch that has not begun
			return nil
		}
		return []any{next}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprint(in, " → ", out) },
}).ToModel()

// after is the state after an operation, and whether its answer can be right.
func (s said) after(epoch uint64, told []string, r reply) (next string, ok bool) {
	switch s.do {
	case "forget":
		return strconv.FormatUint(epoch+1, 10), r.Lost || (r.Err == "not found") == (len(told) == 0)
	case "latest":
		ok = slices.Equal(r.Told, told)
	default:
		ok = true
		told = slices.DeleteFunc(slices.Clone(told), func(t string) bool { return strings.HasPrefix(t, s.text+"=") })
		told = append(told, s.text+"="+s.label)
		slices.Sort(told)
	}
	return strings.Join(append([]string{strconv.FormatUint(epoch, 10)}, told...), "\n"), ok
}

// trial is a run of clients and faults.
type trial struct {
	*processes
	mu      sync.Mutex
	began   time.Time
	history []porcupine.Operation
	counts  map[string]int
	eras    []int // the era of each person: a new one gets a new id
}

func (x *trial) count(what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.counts[what]++
}

// one asks a node something at random, and notes what it says.
func (x *trial) one(client int, rng *rand.Rand, id string) {
	kinds := []string{"observe", "observe", "observe", "observe", "latest", "latest", "learn", "forget"}
	s := said{do: kinds[rng.IntN(len(kinds))], id: id}
	if s.do == "learn" && rng.IntN(3) > 0 { // trainings cost time
		s.do = "observe"
	}
	s.text = fmt.Sprintf("message %d for %s", rng.IntN(4), id)
	s.label = labels[rng.IntN(len(labels))]
	call := time.Since(x.began)
	r := x.nodes[client].ask(request{Do: s.do, ID: s.id, Text: s.text, Label: s.label})
	done := time.Since(x.began)
	switch r.Err {
	case "", "not found":
	case "unknown":
		if done = time.Hour; s.do == "latest" {
			return
		}
	case "no effect":
		x.count("without effect")
		return
	default:
		x.t.Errorf("%s on node %d: %s", s, client, r.Err)
		return
	}
	s.epoch = r.Epoch
	x.mu.Lock()
	defer x.mu.Unlock()
	x.counts[s.do]++
	if r.Err == "unknown" {
		x.counts["unknown"]++
	}
	x.history = append(x.history, porcupine.Operation{ClientId: client, Input: s, Output: r, Call: int64(call),
		Return: int64(done)})
}

// leader is the number of the server that leads a stream of values.
func (p *processes) leader() int {
	js, err := jetstream.New(p.nc)
	if err != nil {
		return 0
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	st, err := js.Stream(ctx, streams{fleet: "xpeft"}.valuesStream(rand.IntN(2)))
	if err != nil || st.CachedInfo().Cluster == nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(st.CachedInfo().Cluster.Leader, "s"))
	return n
}

// fault does one harm and heals it.
func (x *trial) fault(rng *rand.Rand) {
	node, short := rng.IntN(len(x.nodes)), time.Duration(300+rng.IntN(2000))*time.Millisecond
	switch rng.IntN(6) {
	case 0:
		x.count("fault: node killed")
		x.nodes[node].kill()
		time.Sleep(short / 4)
		x.nodes[node].start()
		x.nodes[node].serves(patience)
	case 1, 2:
		which, what := rng.IntN(3), "fault: server killed"
		if rng.IntN(2) == 0 {
			which, what = x.leader(), "fault: leader killed"
		}
		x.count(what)
		x.servers[which].kill()
		time.Sleep(short)
		x.servers[which].start()
		time.Sleep(time.Second)
	case 3:
		x.count("fault: node stopped")
		x.nodes[node].signal(syscall.SIGSTOP)
		time.Sleep(short)
		x.nodes[node].signal(syscall.SIGCONT)
	case 4:
		x.count("fault: server stopped")
		which := rng.IntN(3)
		x.servers[which].signal(syscall.SIGSTOP)
		time.Sleep(short)
		x.servers[which].signal(syscall.SIGCONT)
	case 5:
		x.count("fault: node cut off")
		x.links[node].set(true)
		time.Sleep(2 * short)
		x.links[node].set(false)
	}
}

// TestFaults: five nodes, two of which learn, and three servers, all of them processes. While
// people are taught, read and forgotten on all nodes, processes are killed, leaders too, and
// stopped, and nodes are cut off. What was acknowledged is linearizable, all nodes end with the
// same, and nobody is answered from what another was told. XPEFT_FLEET_FAULTS says how many faults,
// 12 by default.
func TestFaults(t *testing.T) {
	t.Parallel()
	faults := 12
	if s := os.Getenv("XPEFT_FLEET_FAULTS"); s != "" {
		faults, _ = strconv.Atoi(s)
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("XPEFT_FLEET_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d", seed)
	x := &trial{processes: newProcesses(t, 5, 2, 5*time.Second, false), began: time.Now(), counts: map[string]int{},
		eras: make([]int, 3)}
	ended := make(chan struct{})
	var clients sync.WaitGroup
	for client := range x.nodes {
		clients.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(client)))
			for {
				select {
				case <-ended:
					return
				default:
				}
				x.mu.Lock()
				who := rng.IntN(len(x.eras))
				id := fmt.Sprintf("p%d-%d", who, x.eras[who])
				x.mu.Unlock()
				x.one(client, rng, id)
				time.Sleep(time.Duration(rng.IntN(100)) * time.Millisecond)
			}
		})
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	for i := range faults {
		time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond)
		x.fault(rng)
		if x.mu.Lock(); i%3 == 2 {
			x.eras[rng.IntN(len(x.eras))]++
		}
		x.mu.Unlock()
	}
	close(ended)
	clients.Wait()
	x.settle()
	began := time.Now()
	result := porcupine.CheckOperationsTimeout(model, x.history, 10*time.Minute)
	if result != porcupine.Ok {
		x.show()
		t.Errorf("the history is %s, with seed %d", result, seed)
	}
	t.Logf("%d operations of %d people, checked in %v: %v", len(x.history), x.people(), time.Since(began), x.counts)
}

// show prints the histories that are not linearizable.
func (x *trial) show() {
	for _, part := range model.Partition(x.history) {
		if porcupine.CheckOperations(model, part) {
			continue
		}
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, o := range part {
			x.t.Logf("%8.3f to %8.3f on node %d: %s", time.Duration(o.Call).Seconds(), time.Duration(o.Return).Seconds(),
				o.ClientId, model.DescribeOperation(o.Input, o.Output))
		}
	}
}

func (x *trial) people() int {
	ids := map[string]bool{}
	for _, o := range x.history {
		ids[o.Input.(said).id] = true
	}
	return len(ids)
}

// latest asks node 4 for what the fleet has, until it answers, and notes the answer.
func (x *trial) latest(id string) (latest reply) {
	for range 10 {
		call := time.Since(x.began)
		latest = x.nodes[4].ask(request{Do: "latest", ID: id})
		if latest.Err == "" || latest.Err == "not found" {
			x.history = append(x.history, porcupine.Operation{ClientId: 4, Output: latest, Call: int64(call),
				Input: said{do: "latest", id: id, epoch: latest.Epoch}, Return: int64(time.Since(x.began))})
			return latest
		}
	}
	x.t.Errorf("what the fleet has of %s: %v", id, latest)
	return latest
}

// settle lets the fleet come to rest, and compares the nodes.
func (x *trial) settle() {
	for i, n := range x.nodes {
		if !n.serves(patience) {
			x.t.Fatalf("node %d does not serve", i)
		}
		if r := n.ask(request{Do: "drain", Timeout: patience}); r.Err != "" {
			r2 := n.ask(request{Do: "stats"})
			x.t.Errorf("node %d has not sent all: %s, %+v", i, r.Err, r2.Stats)
		}
	}
	ids := map[string]bool{}
	for _, o := range x.history {
		ids[o.Input.(said).id] = true
	}
	for id := range ids {
		latest := x.latest(id)
		for i, n := range x.nodes {
			var local reply
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				if local = n.ask(request{Do: "local", ID: id}); slices.Equal(local.Told, latest.Told) {
					break
				}
			}
			if !slices.Equal(local.Told, latest.Told) {
				x.t.Errorf("node %d has %v of %s, want %v as the fleet", i, local, id, latest)
			}
			for other := range ids {
				r := n.ask(request{Do: "predict", ID: id, Text: "message 0 for " + other})
				if x.count("answers compared"); r.Source == "taught" && other != id {
					x.t.Errorf("node %d answers %s by what %s was told", i, id, other)
				}
			}
		}
	}
	for i, n := range x.nodes {
		if r := n.ask(request{Do: "stats"}); r.Stats != nil {
			x.t.Logf("node %d: %+v", i, *r.Stats)
		}
	}
}
