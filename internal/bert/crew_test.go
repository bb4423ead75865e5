package bert

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// checkThreads wants the bits of one thread from 1, 2, 3 and 8.
func checkThreads(t *testing.T, m *Model, b Batch, as []Adapter, how Pooling) {
	t.Helper()
	n := len(b.Lengths) * m.hidden
	var want []float32
	for _, threads := range []int{0, 1, 2, 3, 8} {
		m.Crew = nil
		if threads > 0 {
			m.Crew = NewCrew(threads)
		}
		got := make([]float32, 3*n)
		m.Embed(b, as, how, got[:n], []int32{0, int32(m.blocks)}, got[n:])
		if want == nil {
			want = got
		}
		sameBits(t, fmt.Sprintf("%s, texts of %v tokens by %d threads", m.Kernel(), b.Lengths, threads), got, want)
	}
}

// TestCrewGolden: each golden text alone, and all together.
func TestCrewGolden(t *testing.T) {
	all := goldenTexts(t)
	all.Owners = slices.Repeat([]int32{-1}, len(all.Lengths))
	for _, m := range everyPath(t, miniLM(t)) {
		checkThreads(t, m, all, nil, Mean)
		for i := range all.Lengths {
			checkThreads(t, m, all.one(i), nil, Mean)
		}
	}
}

// TestCrewShapes: models of all widths with all kinds of adapters, in every path, and in the twin's
// precisions that the processor lacks.
func TestCrewShapes(t *testing.T) {
	for _, s := range shapes {
		if testing.Short() && s.hidden >= 400 {
			continue
		}
		rng := rand.New(rand.NewPCG(8, 9))
		w := s.weights(rng)
		as := s.adapters(rng)
		models := everyPath(t, w)
		for _, in := range allPrecisions[1:] {
			if len(fast) > 0 && (in != BFloat16 || s.hidden < 400) { // whose twin is slow
				models = append(models, newModel(w, newC(w, fast[0].twin, in)))
				t.Cleanup(models[len(models)-1].Free)
			}
		}
		for _, m := range models {
			for _, lengths := range [][]int32{{5}, {40}, {200}, {1, 33, 7, 90, 16, 12}} {
				b := texts(rng, len(as), lengths...)
				if len(lengths) == 1 {
					b.Owners[0] = rng.Int32N(int32(len(as)))
				}
				checkThreads(t, m, b, as, Pooler)
				checkCut(t, m, b, as, Mean)
			}
		}
	}
}

// TestCrewConcurrent has passes come and go beside each other, some while all threads are busy:
// each gets its own vector, and afterwards nobody is at work.
func TestCrewConcurrent(t *testing.T) {
	s := shapes[0]
	rng := rand.New(rand.NewPCG(10, 11))
	w := s.weights(rng)
	for _, m := range everyPath(t, w) {
		m.Crew = NewCrew(3)
		var batches []Batch
		var want [][]float32
		for i := range 8 {
			b, x := texts(rng, 0, int32(20+30*i)), make([]float32, s.hidden)
			m.Embed(b, nil, Mean, x, nil, nil)
			batches, want = append(batches, b), append(want, x)
		}
		var all sync.WaitGroup
		for i, b := range batches {
			all.Add(1)
			go func() {
				defer all.Done()
				x := make([]float32, s.hidden)
				for range 50 {
					m.Embed(b, nil, Mean, x, nil, nil)
					if !slices.Equal(x, want[i]) {
						t.Errorf("%s: text %d has another vector beside other passes", m.Kernel(), i)
						return
					}
				}
			}()
		}
		for range 20 {
			done := m.Crew.Busy()
			time.Sleep(100 * time.Microsecond)
			done()
		}
		all.Wait()
		idle(t, m.Crew)
	}
}

// idle wants a crew at rest soon.
func idle(t *testing.T, c *Crew) {
	t.Helper()
	for range 2000 {
		c.mu.Lock()
		passes, helpers, teams := c.passes, c.helpers, len(c.teams)
		c.mu.Unlock()
		if passes == 0 && helpers == 0 && teams == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("got %d passes, %d helpers and %d teams after the last pass, want none", c.passes, c.helpers, len(c.teams))
}

// fakeTeam's helpers stay until they must leave, or the pass ends.
type fakeTeam struct {
	most  int
	allow []int
	end   chan struct{}
}

func (f *fakeTeam) threads() int { return f.most }
func (f *fakeTeam) help()        { <-f.end }
func (f *fakeTeam) limit(n int)  { f.allow = append(f.allow, n) }

// TestCrewLends: a pass has the threads that no other one uses, of which it gives up those that
// others need.
func TestCrewLends(t *testing.T) {
	c := NewCrew(6)
	var teams []*fakeTeam
	enter := func(most int) *fakeTeam {
		t, _ := c.enter(1, most, func(n int) team {
			f := &fakeTeam{most: n, end: make(chan struct{})}
			teams = append(teams, f)
			return f
		}).(*fakeTeam)
		return t
	}
	if a := enter(1); a != nil {
		t.Errorf("a short pass: got %d threads, want its own", a.most)
	}
	a := enter(2)
	if a == nil || a.most != 2 {
		t.Fatalf("got %v, want a team of 2", a)
	}
	b := enter(9)
	if b == nil || b.most != 3 || !slices.Equal(a.allow, []int{2}) {
		t.Fatalf("got %v and limits of the first %v, want a team of 3 and a limit of 6/3", b, a.allow)
	}
	for range 2 {
		if enter(9) != nil {
			t.Error("got a team where no thread is free")
		}
	}
	done := c.Busy()
	if want := []int{1, 1, 0}; !slices.Equal(b.allow, want) {
		t.Errorf("got limits %v, want %v", b.allow, want)
	}
	for _, f := range teams {
		close(f.end)
	}
	for range 3 {
		c.leave(1, nil)
	}
	c.leave(1, a)
	c.leave(1, b)
	if enter(9) != nil {
		t.Error("got a team while all threads have other work")
	}
	c.leave(1, nil)
	done()
	idle(t, c)
	if f := enter(9); f == nil || f.most != 6 {
		t.Errorf("got %v of a crew at rest, want a team of 6", f)
	} else {
		close(f.end)
	}
}
