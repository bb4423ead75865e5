package fleet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// loadPerson is somebody of a load, who has at most four texts: profiles do not grow.
func loadPerson(i int) (id, text string) {
	return fmt.Sprintf("person-%d", i), fmt.Sprintf("message %d", rand.IntN(4))
}

// fill teaches each person once, on a node in turn, and waits until all nodes have all of them.
func (p *processes) fill(people int) {
	next, began := make(chan int), time.Now()
	var clients sync.WaitGroup
	for range 64 {
		clients.Go(func() {
			for i := range next {
				id, text := loadPerson(i)
				r := p.nodes[1+i%(len(p.nodes)-1)].ask(request{Do: "observe", ID: id, Text: text, Label: labels[i%3], Timeout: time.Minute})
				if r.Err != "" {
					p.t.Errorf("teaching %s: %s", id, r.Err)
				}
			}
		})
	}
	for i := range people {
		if next <- i; i%(people/10+1) == 0 {
			p.t.Logf("%v: %d people were taught", time.Since(began).Round(time.Second), i)
		}
	}
	close(next)
	clients.Wait()
	for _, n := range p.nodes {
		within(p.t, time.Hour, "values of all", func() bool {
			time.Sleep(time.Second)
			s := n.ask(request{Do: "stats"}).Stats
			return s != nil && s.Waiting == 0 && s.Values >= int64(people)
		})
	}
	p.t.Logf("%d people were taught, and on all nodes, after %v", people, time.Since(began).Round(time.Second))
}

// memory is the resident memory of each server and node, in MB.
func (p *processes) memory() (all []int64) {
	for _, c := range append(slices.Clone(p.servers), p.nodes...) {
		all = append(all, resident(p.t, c.cmd.Process.Pid)>>20)
	}
	return all
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
	return time.Since(began) + within(p.t, time.Minute, "answer elsewhere", func() bool {
		return slices.Contains(there.ask(request{Do: "local", ID: id}).Told, want)
	})
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
	t.Logf("memory in MB of servers s0, s1, s2, the learner, and nodes n1, n2, n3")
	t.Logf("at the start: %v", p.memory())
	p.fill(people)
	rng, seen := rand.New(rand.NewPCG(1, 2)), [][]int64{}
	var all []time.Duration
	for minute := range minutes {
		var took []time.Duration
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if d := p.elsewhere(rng, people); d > 0 {
				took = append(took, d)
			}
		}
		all, seen = append(all, took...), append(seen, p.memory())
		p.t.Logf("minute %2d: %s; memory %v", minute+1, quantiles(took), seen[minute])
	}
	t.Logf("%d people, %d minutes: taught on one node and on another after %s", people, minutes, quantiles(all))
	for i, n := range p.nodes {
		s := n.ask(request{Do: "stats"}).Stats
		t.Logf("n%d: values from the servers into the folder p50 %v, p99 %v, of %d", i, s.P50, s.P99, s.Values)
	}
	for i := range seen[0] {
		if first, last := seen[minutes/3][i], seen[minutes-1][i]; last > first+first/5+16 {
			t.Errorf("memory of process %d grew from %d MB after a third of the time to %d MB", i, first, last)
		}
	}
}

func quantiles(d []time.Duration) string {
	if slices.Sort(d); len(d) == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %v, p99 %v of %d", d[len(d)/2].Round(time.Millisecond), d[len(d)*99/100].Round(time.Millisecond), len(d))
}
