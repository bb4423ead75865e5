package sdk

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	soakFolder     = "XPEFT_TEST_SOAK"
	soakGoroutines = 64
	soakProfiles   = 50
)

// soakExamples is how many are observed.
func soakExamples() int {
	if testing.Short() {
		return 1000
	}
	return 5000
}

// soakExample is the k-th that a goroutine observes. No two goroutines have a text of one profile
// in common, so that a text's last label is known; a third of the texts come again, with another
// label or the same.
func soakExample(g, k int) (id string, e Example) {
	r := rand.New(rand.NewPCG(uint64(g), uint64(k)))
	text := k
	if r.IntN(3) == 0 {
		text = r.IntN(k + 1)
	}
	id = fmt.Sprint("user ", (g*31+text)%soakProfiles)
	l := labels[r.IntN(len(labels))]
	return id, Example{Text: fmt.Sprintf("%s %d %d", texts[l][text%4], g, text), Label: l}
}

func soakLength(g int) int { return (soakExamples() + soakGoroutines - 1 - g) / soakGoroutines }

// TestSoak: 64 goroutines observe 5,000 examples of 50 profiles, in a process that is killed again
// and again and opens the folder anew; what is acknowledged is said. In the end each profile has
// been trained on just what was observed of it, and nothing waits.
func TestSoak(t *testing.T) {
	if dir := os.Getenv(soakFolder); dir != "" {
		soakChild(t, dir)
		return
	}
	c := small(t)
	p := create(t, c)
	dir := p.dir
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	began, acknowledged, lives := time.Now(), make([]int, soakGoroutines), 0
	for left(acknowledged) > 0 {
		if lives++; lives > 600 {
			t.Fatalf("%d examples are not observed after %d lives", left(acknowledged), lives)
		}
		soakLife(t, dir, acknowledged)
	}
	if lives < 3 {
		t.Errorf("got %d lives, want more: this test shows nothing", lives)
	}
	var mu sync.Mutex
	trained := map[string]int{}
	p = open(t, dir, &Options{Threads: 1, OnLearned: func(id string, rep *Report, err error) {
		mu.Lock()
		defer mu.Unlock()
		if trained[id] = -1; err == nil {
			trained[id] = rep.Examples
		}
	}})
	drain(t, p)
	more, waiting := soakCheck(t, p)
	for id, n := range more { // one more training of each, to see what it takes
		for i := range n {
			mustObserve(t, p, id, Example{Text: fmt.Sprint("the last ", i), Label: labels[i%len(labels)]})
		}
	}
	drain(t, p)
	total := soakTrained(t, p, more, trained)
	t.Logf("%d examples of %d profiles by %d goroutines in %d lives and %.0f s; %d waited at the end; after one "+
		"more training of each, %d were trained on, each of the model's",
		soakExamples(), soakProfiles, soakGoroutines, lives, time.Since(began).Seconds(), waiting, total)
}

func left(acknowledged []int) (n int) {
	for g, k := range acknowledged {
		n += soakLength(g) - k
	}
	return n
}

// soakLife starts a child, takes in what it acknowledges, and kills it after a while, or on a fast
// machine after a few of them.
func soakLife(t *testing.T, dir string, acknowledged []int) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestSoak$", fmt.Sprintf("-test.short=%t", testing.Short()))
	child.Env = append(os.Environ(), soakFolder+"="+dir)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, acknowledged)
	kill := time.AfterFunc(10*time.Second, func() { _ = child.Process.Kill() })
	defer kill.Stop()
	few := soakExamples() * (2 + rand.IntN(16)) / 100
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var g, k int
		switch _, err := fmt.Sscanf(lines.Text(), "ack %d %d", &g, &k); {
		case lines.Text() == "begun":
			kill.Reset(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		case err == nil:
			acknowledged[g] = k + 1
			if few--; few == 0 {
				_ = child.Process.Kill()
			}
		}
	}
	_ = child.Wait()
}

func soakChild(t *testing.T, dir string) {
	from := make([]int, soakGoroutines)
	in := bufio.NewReader(os.Stdin)
	_, _ = in.ReadByte() // [
	for g := range from {
		if _, err := fmt.Fscan(in, &from[g]); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Open(context.Background(), dir, &Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("begun")
	var all sync.WaitGroup
	for g := range soakGoroutines {
		all.Add(1)
		go func() {
			defer all.Done()
			for k := from[g]; k < soakLength(g); k++ {
				id, e := soakExample(g, k)
				if err := p.Observe(context.Background(), id, e); err != nil {
					fmt.Println("error", g, k, err)
					return
				}
				fmt.Println("ack", g, k)
			}
		}()
	}
	all.Wait()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// soakModel is the last label of each text of each profile.
func soakModel() map[string]map[string]string {
	model := map[string]map[string]string{}
	for g := range soakGoroutines {
		for k := range soakLength(g) {
			id, e := soakExample(g, k)
			if model[id] == nil {
				model[id] = map[string]string{}
			}
			// One text: of different labels' sentences they are different texts.
			model[id][e.Text] = e.Label
		}
	}
	return model
}

// soakCheck compares what is stored with the model, and returns how many more examples make each
// profile due.
func soakCheck(t *testing.T, p *Folder) (more map[string]int, waiting int) {
	t.Helper()
	more = map[string]int{}
	for id, want := range soakModel() {
		got := map[string]string{}
		stored, err := p.stored(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range stored {
			got[e.Text] = e.Label
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-observed +stored):\n%s", id, diff)
		}
		w, err := p.waiting(id)
		if err != nil || p.observer.due(w) {
			t.Errorf("%s: %+v is due after Drain (%v)", id, w, err)
		}
		waiting += w.Examples
		for ; !p.observer.due(w); w.Examples++ {
			more[id]++
		}
	}
	return more, waiting
}

// soakTrained compares what the last training of each profile took with the model.
func soakTrained(t *testing.T, p *Folder, more, trained map[string]int) (total int) {
	t.Helper()
	for id, want := range soakModel() {
		for i := range more[id] {
			want[fmt.Sprint("the last ", i)] = labels[i%len(labels)]
		}
		if trained[id] != len(want) {
			t.Errorf("%s: trained on %d examples, want %d", id, trained[id], len(want))
		}
		total += trained[id]
		for e, err := range p.Examples(context.Background(), id) {
			if err != nil || !e.Learned || want[e.Text] != e.Label {
				t.Errorf("%s: got %+v (%v), want it learned as %q", id, e, err, want[e.Text])
			}
		}
	}
	return total
}
