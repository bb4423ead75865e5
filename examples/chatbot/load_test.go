package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/sdk"
)

// TestLoad serves 64 clients from a process of its own for LOADTIME (default 30 s), then more of
// them than it takes, then sends SIGTERM while they ask. No request may be lost, none answered
// wrongly, and memory and goroutines come back to what they were. LOADCSV names a file for what
// memory did.
func TestLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	long := 30 * time.Second
	if s := os.Getenv("LOADTIME"); s != "" {
		var err error
		if long, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	server := startChild(t, dir)
	c := newCrowd(t, server.url)
	c.warmUp()
	if c.full = long >= 20*time.Minute; c.full {
		c.fill()
	}
	before := c.atRest(server)
	t.Logf("warm: %d requests answered, %+v", c.answered.Load(), before)
	memory, _ := c.sample(server, "")
	began := time.Now()
	wait := c.play(1)
	watched := c.watch(server, long)
	c.stop.Store(true)
	wait()
	t.Logf("load: %v, %d requests answered", time.Since(began).Round(time.Second), c.answered.Load())
	c.comeBack(server, before)
	c.judge(memory, watched, server)
	c.overload()
	c.terminate(server)
	c.print()
	c.checkFolder(dir)
}

// warmUp makes the profiles that are there from the start.
func (c *crowd) warmUp() {
	r := rand.New(rand.NewPCG(0, 0))
	for i := range steady {
		id := fmt.Sprintf("steady-%d", i)
		c.learn(id, r)
		c.predict(id, texts[0], 200)
	}
	for i := range passing {
		id := fmt.Sprintf("passing-%d", i)
		for range 5 { // enough to be due: the background's goroutine begins
			c.call("observe", id, taught{Examples: []sdk.Example{example(r)}}, nil, 202)
		}
		c.predict(id, texts[0], 200)
	}
	for began := time.Now(); c.stats().Learns < steady+passing &&
		time.Since(began) < time.Minute; time.Sleep(100 * time.Millisecond) {
	}
}

// fill teaches the steady profiles as many examples as are kept of one: a run that is long enough
// gets there anyhow, and until then trainings take more memory each time. It takes some minutes.
func (c *crowd) fill() {
	var all sync.WaitGroup
	for i := range steady {
		all.Add(1)
		go func() {
			defer all.Done()
			r, id := rand.New(rand.NewPCG(uint64(i), 1)), fmt.Sprintf("steady-%d", i)
			for range kept {
				c.call("observe", id, taught{Examples: []sdk.Example{example(r)}}, nil, 202)
			}
			c.learn(id, r)
		}()
	}
	all.Wait()
}

// atOnce is the default of serve's Limits.Predict.
const atOnce = 256

// kept is the default of sdk.Limits.Examples.
const kept = 512

func (c *crowd) stats() (s sdk.Stats) {
	c.call("stats", "", nil, &s, 200)
	return s
}

// atRest is how many goroutines a server has when it has nothing to do.
func (c *crowd) atRest(server *child) int {
	n := server.look("").Goroutines
	for range 4 { // the connection of the last request may just be closing
		time.Sleep(20 * time.Millisecond)
		n = min(n, server.look("").Goroutines)
	}
	return n
}

// comeBack waits until there are no more goroutines than before. Profiles that are due may learn
// meanwhile.
func (c *crowd) comeBack(server *child, before int) {
	var now int
	for began := time.Now(); time.Since(began) < 2*time.Minute; time.Sleep(200 * time.Millisecond) {
		now = c.atRest(server)
		if now <= before {
			c.t.Logf("at rest: %d goroutines before, %d after", before, now)
			return
		}
	}
	c.fault("got %d goroutines after the load, want as before: %d", now, before)
}

// overload has more clients at once than the server takes: some are told to come back, the others
// are answered, and it goes on afterwards.
func (c *crowd) overload() {
	before, began := maps.Clone(c.codes), time.Now()
	var all sync.WaitGroup
	for range 2 * atOnce {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 4 {
				c.predict(fmt.Sprintf("steady-%d", i), texts[i%len(texts)], 200, 504)
			}
		}()
	}
	all.Wait()
	got := func(code string) int { return c.codes["predict "+code] - before["predict "+code] }
	c.t.Logf("overload: %d clients at once: %d answers, %d times 429, %d times 504 in %v", 2*atOnce,
		got("200"), got("429"), got("504"), time.Since(began).Round(time.Millisecond))
	if got("429") == 0 || got("200") <= got("504") {
		c.fault("want 429 for some and an answer for most of the others")
	}
	if code := c.predict("steady-0", texts[0], 200); code != 200 {
		c.fault("after the overload: got %d, want 200", code)
	}
}

// terminate ends the server while all clients are at it, and counts.
func (c *crowd) terminate(server *child) {
	c.stop.Store(false)
	wait := c.play(2)
	time.Sleep(2 * time.Second)
	c.signal.Store(true)
	server.terminate()
	err := server.wait()
	wait()
	if err != nil {
		c.fault("the server ended: %v", err)
	}
	if c.answered.Load() != server.drained {
		c.fault("got %d answers to the %d requests that reached the server", c.answered.Load(), server.drained)
	}
	if c.refused.Load() != clients {
		c.fault("got %d clients refused, want each once: %d", c.refused.Load(), clients)
	}
	c.t.Logf("SIGTERM: %d requests reached the server in all, %d answers; then %d connections refused",
		server.drained, c.answered.Load(), c.refused.Load())
}

func (c *crowd) print() {
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(c.codes)) {
		lines = append(lines, fmt.Sprintf("%s: %d", k, c.codes[k]))
	}
	c.t.Logf("answers: %s; wrong: %d", strings.Join(lines, ", "), c.wrong.Load())
}

// checkFolder opens what was left: sound, with what was acknowledged, and without what was
// forgotten.
func (c *crowd) checkFolder(dir string) {
	p := open(c.t, dir)
	if rep, err := p.Check(c.t.Context(), &sdk.CheckOptions{Deep: true}); err != nil {
		c.t.Errorf("check: %v, %v", err, rep.Problems)
	}
	for id, revision := range c.revisions {
		if info, err := p.Profile(context.Background(), id); err != nil || info.Revision < revision {
			c.t.Errorf("%s: got revision %d, %v, want %d or later", id, info.Revision, err, revision)
		}
	}
	defer c.checkAnswers(dir)
	defer p.Close()
	for i := 0; i < clients; i += owners {
		_, err := p.Profile(context.Background(), fmt.Sprintf("own-%d", i))
		if own := c.own[i]; !own.unsure && own.exists != (err == nil) {
			c.t.Errorf("own-%d: got %v, want it there: %v", i, err, own.exists)
		}
	}
}

// checkAnswers compares what the last revisions of steady profiles answered, among all others, with
// what each answers alone, from a folder opened for it only.
func (c *crowd) checkAnswers(dir string) {
	compared, alone := 0, map[string][]float32{}
	for i := range steady {
		id, p := fmt.Sprintf("steady-%d", i), open(c.t, dir)
		for _, text := range texts {
			out, err := p.Predict(c.t.Context(), id, text, nil)
			if err != nil {
				c.t.Fatal(err)
			}
			told := c.answers[[3]string{id, text, fmt.Sprint(out.Revision)}]
			for i, q := range out.Probabilities {
				alone[id] = append(alone[id], q.P)
				if told != nil && math.Abs(float64(told[i].P-q.P)) > 1e-5 {
					c.t.Errorf("%s, %q, revision %d: got %v under load, want %v", id, text, out.Revision, told,
						out.Probabilities)
				}
			}
			if told != nil {
				compared++
			}
		}
		p.Close()
	}
	apart := leastApart(alone)
	if compared == 0 || apart < 1e-2 {
		c.t.Errorf("compared %d answers of profiles that differ by %v, want some, that differ", compared, apart)
	}
	c.t.Logf("%d answers compared with those of a profile alone; two profiles differ by %.2f or more", compared, apart)
}

// leastApart is how much the answers of the two profiles that are most alike differ.
func leastApart(answers map[string][]float32) float32 {
	least := float32(1)
	for id, a := range answers {
		for other, b := range answers {
			if id == other {
				continue
			}
			most := float32(0)
			for k := range a {
				most = max(most, a[k]-b[k])
			}
			least = min(least, most)
		}
	}
	return least
}
