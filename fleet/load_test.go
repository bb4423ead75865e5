package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/xpeft/xpeft/sdk"
)

// taughtFirst is how many people of a load are really taught. The others are copies of them.
const taughtFirst = 30

// loadPerson is somebody of a load, who is told at most four texts more: profiles do not grow.
func loadPerson(i int) (id, text string) {
	id, text = fmt.Sprintf("person-%d", i%taughtFirst), fmt.Sprintf("message %d", rand.IntN(4))
	if i >= taughtFirst {
		id = fmt.Sprintf("%d-%s", i/taughtFirst, id)
	}
	return id, text
}

// fill makes people who have learned, and waits until all nodes have them.
func (p *processes) fill(people int) {
	began := time.Now()
	var clients sync.WaitGroup
	for i := range taughtFirst {
		id, _ := loadPerson(i)
		clients.Go(func() {
			for k, e := range messages {
				r := request{Do: "observe", ID: id, Text: e.Text, Label: labels[(i+k)%3], Timeout: time.Minute}
				if r := p.nodes[1+i%(len(p.nodes)-1)].ask(r); r.Err != "" {
					p.t.Errorf("teaching %s: %s", id, r.Err)
				}
			}
		})
	}
	clients.Wait()
	p.filled(taughtFirst)
	p.t.Logf("%d people were taught after %v, and the nodes learned %d times", taughtFirst, time.Since(began).Round(time.Second),
		p.nodes[0].ask(request{Do: "stats"}).Stats.Learned)
	if err := p.copy(people); err != nil {
		p.t.Fatal(err)
	}
	p.t.Logf("%d people were written after %v", people, time.Since(began).Round(time.Second))
	p.filled(people)
	p.t.Logf("%d people were on all nodes after %v", people, time.Since(began).Round(time.Second))
}

// filled waits until all nodes have everybody.
func (p *processes) filled(people int) {
	for _, n := range p.nodes {
		within(p.t, time.Hour, "people on all nodes", func() bool {
			time.Sleep(time.Second)
			r := n.ask(request{Do: "stats"})
			return r.Stats != nil && r.Stats.Waiting == 0 && r.People >= int64(people)
		})
	}
}

// copy gives the fleet people who learned what the first did: it writes a value and a key for each,
// as a learner does, and begins the nodes anew with folders that have them, so that these need not
// take in so many one after another.
func (p *processes) copy(people int) error {
	ctx, keys := p.t.Context(), testSecrets(p.t)
	for _, n := range p.nodes {
		n.kill()
	}
	s, err := connect(Config{Fleet: "xpeft", Node: "copier", Servers: p.urls})
	if err != nil {
		return err
	}
	defer s.nc.Close()
	first := filepath.Join(p.dir, "n0")
	st, err := openState(filepath.Join(first, "fleet.db"), keys.local)
	if err != nil {
		return err
	}
	f, err := sdk.Open(ctx, filepath.Join(first, "folder"), folderOptions(testLayout(p.t).Folder.Options, keys))
	if err != nil {
		return err
	}
	c := copier{ctx, s, keys, st, f}
	err = errors.Join(c.copy(people), f.Close(), st.close())
	for i := 1; i < len(p.nodes) && err == nil; i++ {
		err = c.begin(first, fmt.Sprintf("n%d", i))
	}
	for _, n := range p.nodes {
		n.start()
	}
	for i, n := range p.nodes {
		if err == nil && !n.serves(10*time.Minute) {
			err = fmt.Errorf("node %d does not serve", i)
		}
	}
	return err
}

// copier is what a node has and what the fleet's secret makes.
type copier struct {
	ctx context.Context
	streams
	secrets
	state  *state
	folder *sdk.Folder
}

// copy copies the first people in the folder, and publishes the copies.
func (c copier) copy(people int) error {
	var all bytes.Buffer
	if _, err := c.folder.Export(c.ctx, &all, &sdk.ExportOptions{Examples: true, State: true}); err != nil {
		return err
	}
	for from := taughtFirst; from < people; from += taughtFirst {
		o := sdk.ImportOptions{Prefix: fmt.Sprintf("%d-", from/taughtFirst)}
		if _, err := c.folder.Import(c.ctx, bytes.NewReader(all.Bytes()), &o); err != nil {
			return err
		}
		written, values := map[string]jetstream.PubAckFuture{}, map[string][]byte{}
		for i := from; i < min(people, from+taughtFirst); i++ {
			id, _ := loadPerson(i)
			name, key := c.nameOf(id), newKey()
			var b bytes.Buffer
			_, err := c.folder.Export(c.ctx, &b, &sdk.ExportOptions{IDs: []string{id}, Examples: true, State: true})
			if err == nil {
				sealed := seal(c.wrap, key, name)
				written[id], err = c.js.PublishAsync(c.keySubject(partitionOf(name, 2), name), sealed)
			}
			if err != nil {
				return err
			}
			place, v := c.valueSubject(partitionOf(name, 2), personKey+name), value{}
			v.sealed = person{id, nil, b.Bytes()}.seal(v, key, place)
			values[id] = v.encode()
		}
		if _, err := acknowledged(written); err != nil { // no value is there before its key
			return err
		}
		for id, data := range values {
			name, err := c.nameOf(id), error(nil)
			written[id], err = c.js.PublishAsync(c.valueSubject(partitionOf(name, 2), personKey+name), data)
			if err != nil {
				return err
			}
		}
		seqs, err := acknowledged(written)
		for id, seq := range seqs {
			name := c.nameOf(id)
			err = errors.Join(err, c.state.set(name, entry{Seq: seq, ID: seal(c.local, []byte(id), name)}))
			p := partitionOf(name, 2)
			c.state.move(p, func(at *place) { at.Seq = max(at.Seq, seq) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func acknowledged(written map[string]jetstream.PubAckFuture) (seqs map[string]uint64, err error) {
	seqs = map[string]uint64{}
	for id, ack := range written {
		select {
		case a := <-ack.Ok():
			seqs[id] = a.Sequence
		case err := <-ack.Err():
			return nil, err
		}
	}
	return seqs, nil
}

// begin gives a node the folder of another.
func (c copier) begin(from, node string) error {
	dir := filepath.Join(filepath.Dir(from), node)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		return err
	}
	st, err := openState(filepath.Join(dir, "fleet.db"), c.local)
	if err != nil {
		return err
	}
	for p := range 2 {
		msg, err := c.last(c.ctx, c.valuesStream(p), c.valueSubject(p, nodeKey+node))
		if err != nil {
			return errors.Join(err, st.close())
		}
		st.move(p, func(at *place) { at.Beat = msg.Sequence })
	}
	return st.close()
}

// memory is what each server and node has in memory of its own, and what of its files is mapped, in
// MB: a node's folder is.
func (p *processes) memory() (own, files []int64) {
	for _, c := range append(slices.Clone(p.servers), p.nodes...) {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
		if err != nil {
			p.t.Skip(err)
		}
		kb := func(name string) (n int64) {
			_, after, _ := strings.Cut(string(data), "\n"+name+":")
			fmt.Sscan(after, &n)
			return n
		}
		own, files = append(own, kb("RssAnon")>>10), append(files, kb("RssFile")>>10)
	}
	return own, files
}

// elsewhere teaches a person on one node, and returns how long another takes to have it.
func (p *processes) elsewhere(rng *rand.Rand, people int) time.Duration {
	i := rng.IntN(people)
	id, text := loadPerson(i)
	at := 1 + rng.IntN(len(p.nodes)-1)
	there, want := p.nodes[1+at%(len(p.nodes)-1)], text+"="+labels[rng.IntN(3)]
	if slices.Contains(there.ask(request{Do: "local", ID: id}).Told, want) {
		return 0 // it was told this before
	}
	began := time.Now()
	_, label, _ := strings.Cut(want, "=")
	if r := p.nodes[at].ask(request{Do: "observe", ID: id, Text: text, Label: label, Timeout: time.Minute}); r.Err != "" {
		p.t.Errorf("teaching %s: %s", id, r.Err)
		return 0
	}
	for late := false; !slices.Contains(there.ask(request{Do: "local", ID: id}).Told, want); time.Sleep(5 * time.Millisecond) {
		if !late && time.Since(began) > time.Minute {
			late = true
			p.explain(id, want)
		}
		if time.Since(began) > 5*time.Minute {
			p.explain(id, want)
			p.t.Fatalf("%s of %s did not come", want, id)
		}
	}
	took := time.Since(began)
	if r := there.ask(request{Do: "predict", ID: id, Text: text}); r.Source != "taught" || r.Told[0] != label {
		p.t.Errorf("%s of %s: got %v %s, want %s", text, id, r, r.Source, want)
	}
	return took
}

// explain says where an example may be that has not come to another node.
func (p *processes) explain(id, want string) {
	p.t.Errorf("%v: %s of %s was not on another node within a minute", time.Now(), want, id)
	for i, n := range p.nodes {
		p.t.Logf("n%d has %v; %+v", i, n.ask(request{Do: "local", ID: id}), n.ask(request{Do: "stats"}).Stats)
	}
	status, err := ReadStatus(p.t.Context(), Config{Node: "operator", Servers: p.urls, Secret: []byte(strings.Repeat("s", keySize))})
	p.t.Logf("%+v, %v", status, err)
	p.t.Logf("the fleet has %v", p.nodes[1].ask(request{Do: "latest", ID: id, Timeout: 30 * time.Second}))
}

// TestLoad: XPEFT_FLEET_PROFILES people on three nodes and a learner, all of them and the servers
// processes. For XPEFT_FLEET_MINUTES people are taught on a node and awaited on another; how long
// that took is printed each minute with the memory of every process, which must not grow.
func TestLoad(t *testing.T) {
	people, err := strconv.Atoi(os.Getenv("XPEFT_FLEET_PROFILES"))
	if err != nil {
		t.Skip("XPEFT_FLEET_PROFILES says how many: make fleet-load")
	}
	minutes, err := strconv.Atoi(os.Getenv("XPEFT_FLEET_MINUTES"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProcesses(t, 4, 1, time.Minute, false)
	before, _ := p.memory()
	t.Logf("memory in MB of servers s0, s1, s2, the learner, and nodes n1, n2, n3, at the start: %v", before)
	p.fill(people)
	time.Sleep(5 * time.Second)
	after, files := p.memory()
	t.Logf("with %d people: %v and %v of mapped files; a person takes %.0f, %.0f, %.0f bytes of the servers", people, after, files,
		float64(after[0]-before[0])*(1<<20)/float64(people), float64(after[1]-before[1])*(1<<20)/float64(people),
		float64(after[2]-before[2])*(1<<20)/float64(people))
	rng, seen := rand.New(rand.NewPCG(1, 2)), [][]int64{}
	var all []time.Duration
	for minute := range minutes {
		var took []time.Duration
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if d := p.elsewhere(rng, people); d > 0 {
				took = append(took, d)
			}
		}
		now, files := p.memory()
		all, seen = append(all, took...), append(seen, now)
		p.t.Logf("minute %2d: %s; memory %v, mapped files %v", minute+1, quantiles(took), now, files)
	}
	t.Logf("%d people, %d minutes: taught on one node and on another after %s", people, minutes, quantiles(all))
	for i, n := range p.nodes {
		s := n.ask(request{Do: "stats"}).Stats
		t.Logf("n%d: values from the servers into the folder p50 %v, p99 %v, of %d", i, s.P50, s.P99, s.Values)
	}
	third := max(1, minutes/3)
	for i, name := range []string{"s0", "s1", "s2", "the learner", "n1", "n2", "n3"} {
		mean := func(of [][]int64) (sum int64) {
			for _, m := range of {
				sum += m[i]
			}
			return sum / int64(len(of))
		}
		first, last := mean(seen[:third]), mean(seen[minutes-third:])
		t.Logf("%s: %d MB in the first %d minutes, %d MB in the last", name, first, third, last)
		if last > first+first/5+16 {
			t.Errorf("the memory of %s grew", name)
		}
	}
}

func quantiles(d []time.Duration) string {
	if slices.Sort(d); len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %v, p99 %v of %d", d[len(d)/2].Round(time.Millisecond), d[len(d)*99/100].Round(time.Millisecond), len(d))
}
