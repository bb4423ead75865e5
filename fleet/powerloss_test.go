package fleet

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/xpeft/xpeft/sdk"
)

// freeze copies the servers' folders as they all are at one moment. A server that loses power later
// may come back with this: its disk never got what it wrote since.
func (p *processes) freeze() (copies string) {
	p.t.Helper()
	copies = p.t.TempDir()
	for _, s := range p.servers {
		s.signal(syscall.SIGSTOP)
	}
	for i := range p.servers {
		if err := os.CopyFS(filepath.Join(copies, fmt.Sprint(i)), os.DirFS(p.folder(i))); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, s := range p.servers {
		s.signal(syscall.SIGCONT)
	}
	return copies
}

func (p *processes) folder(server int) string {
	return filepath.Join(p.dir, fmt.Sprintf("s%d", server))
}

// losePower kills some servers, and starts them with what their disks had.
func (p *processes) losePower(copies string, servers []int) {
	p.t.Helper()
	for _, i := range servers {
		p.servers[i].kill()
	}
	for _, i := range servers {
		err := os.RemoveAll(p.folder(i))
		if err == nil {
			err = os.CopyFS(p.folder(i), os.DirFS(filepath.Join(copies, fmt.Sprint(i))))
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	for _, i := range servers {
		p.servers[i].start()
	}
}

// must asks a node until it answers.
func (p *processes) must(node int, r request) (got reply) {
	p.t.Helper()
	within(p.t, patience, r.Do+" of "+r.ID, func() bool {
		got = p.nodes[node].ask(r)
		return got.Err == "" || got.Err == "not found"
	})
	return got
}

// agree waits until all nodes have the same of a person as the fleet.
func (p *processes) agree(id string) []string {
	p.t.Helper()
	latest := p.must(1, request{Do: "latest", ID: id})
	for i := range p.nodes {
		var got reply
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if got = p.nodes[i].ask(request{Do: "local", ID: id}); slices.Equal(got.Told, latest.Told) {
				break
			}
		}
		if !slices.Equal(got.Told, latest.Told) {
			p.t.Errorf("node %d has %v of %s, want %v as the fleet", i, got.Told, id, latest.Told)
		}
	}
	return latest.Told
}

// TestPowerLoss: servers lose power, and come back with their disks as they were before the last
// writes, all of which had been acknowledged. With one server nothing is lost. With all of them
// what was written after that moment is, on all nodes, and nobody comes back who was forgotten.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	const maxStale = 4 * time.Second
	p := newProcesses(t, 3, 1, maxStale, false)
	teach := func(id, text string) {
		t.Helper()
		p.must(1, request{Do: "observe", ID: id, Text: text, Label: "urgent"})
		p.agree(id)
	}
	teach("alice", "before")
	teach("bob", "before")
	copies := p.freeze()
	teach("alice", "after")
	teach("carol", "after")
	p.must(1, request{Do: "forget", ID: "bob"})
	p.agree("bob")
	want := map[string][]string{"alice": {"after=urgent", "before=urgent"}, "bob": nil, "carol": {"after=urgent"}}
	same := func(when string) {
		t.Helper()
		for id, told := range want {
			if got := p.agree(id); !slices.Equal(got, told) {
				t.Errorf("%s: got %v of %s, want %v", when, got, id, told)
			}
		}
	}
	p.losePower(copies, []int{p.leader()})
	same("a leader lost power")
	lost := time.Now()
	p.losePower(copies, []int{0, 1, 2})
	want["alice"], want["carol"] = []string{"before=urgent"}, nil
	within(t, patience, "answer of the fleet", func() bool { // by a node that is in step: or ErrStale
		for i := range p.nodes {
			for id, text := range map[string]string{"bob": "before", "carol": "after"} {
				asked := time.Since(lost)
				r := p.nodes[i].ask(request{Do: "predict", ID: id, Text: text})
				if r.Source == "taught" && (id == "bob" || asked > maxStale) {
					t.Errorf("node %d answers %s by what was lost or forgotten, %v after", i, id, asked)
				}
			}
		}
		r := p.nodes[1].ask(request{Do: "latest", ID: "alice"})
		return r.Err == "" && slices.Equal(r.Told, want["alice"]) && len(p.nodes[2].ask(request{Do: "latest", ID: "bob"}).Told) == 0
	})
	same("all servers lost power")
	returned := int64(0)
	for i := range p.nodes {
		s := p.must(i, request{Do: "stats"}).Stats
		returned += s.Returned
	}
	if returned == 0 {
		t.Error("bob was forgotten, the servers knew him again, and no node says so")
	}
	teach("bob", "again")
	want["bob"] = []string{"again=urgent"}
	same("bob comes again")
}

// TestLostOperations: where the stream of operations alone has lost its newest, the servers number
// others like those that the values have, and these are done.
func TestLostOperations(t *testing.T) {
	t.Parallel()
	c := newFleet(t)
	a, b := c.learner("a"), c.open(c.config("b"))
	for _, e := range messages[:3] {
		if err := b.Observe(t.Context(), "alice", e); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	l, _ := testLayout(t).withDefaults()
	for p := range l.Partitions {
		if err := a.js.DeleteStream(t.Context(), a.opsStream(p)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range a.configs(l) {
		if _, err := a.js.Stream(t.Context(), s.Name); err == nil {
			continue
		}
		if _, err := a.js.CreateStream(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for p := range l.Partitions {
		_, err := a.js.CreateConsumer(t.Context(), a.opsStream(p), jetstream.ConsumerConfig{Durable: learnConsumer,
			AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 4096})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Observe(t.Context(), "alice", messages[8]); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "answer elsewhere", func() bool {
		label, source := answers(t, a, "alice", messages[8].Text)
		return label == "ignore" && source == sdk.SourceTaught
	})
	if got, err := b.Latest(t.Context(), "alice"); err != nil || len(got) != 4 {
		t.Errorf("got %v, %v, want four examples", got, err)
	}
}
