package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"

	"github.com/google/go-cmp/cmp"
)

// gate is an answer func whose passes wait until they are let through, so that a test can fill the
// queue meanwhile.
type gate struct {
	begun chan []*ticket
	let   chan error
}

func newGate() *gate { return &gate{begun: make(chan []*ticket), let: make(chan error)} }

func (g *gate) answer(tickets []*ticket) error {
	g.begun <- tickets
	return <-g.let
}

// padding is where texts are padded, and not packed.
const padding = false

func ticketOf(profile string, at, tokens int) *ticket {
	r := &request{profile: profile}
	r.text.IDs = make([]int32, tokens)
	return &ticket{request: r, at: at}
}

// start runs a call in the background and returns once its tickets wait or are in a pass; done has
// its error.
func start(ctx context.Context, s *scheduler, tickets ...*ticket) (done chan error) {
	done = make(chan error, 1)
	before := came(s)
	go func() { done <- s.run(ctx, &call{out: make([]Prediction, len(tickets))}, tickets) }()
	for came(s) < before+len(tickets) {
		time.Sleep(time.Millisecond)
	}
	return done
}

// came is how many tickets wait or were in a pass.
func came(s *scheduler) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) + int(s.passes.Texts)
}

// names of a pass's tickets: profile and tokens.
func names(tickets []*ticket) (out []string) {
	for _, r := range tickets {
		out = append(out, fmt.Sprintf("%s%d", r.request.profile, r.request.tokens()))
	}
	return out
}

// TestSchedulerFills has one lane busy while tickets of many lengths come: the next passes have
// tickets of like lengths, the first to come among them.
func TestSchedulerFills(t *testing.T) {
	g, ctx := newGate(), context.Background()
	s := newScheduler(1, 200, 0, padding, g.answer)
	first := start(ctx, s, ticketOf("first", 0, 7))
	if d := cmp.Diff([]string{"first7"}, names(<-g.begun)); d != "" {
		t.Fatalf("a lone ticket (-want +got):\n%s", d)
	}
	var all []*ticket
	for i := range 40 {
		all = append(all, ticketOf(fmt.Sprintf("p%d-", i), i, 10+40*(i%2)+i%3))
	}
	batch := start(ctx, s, all...)
	var passes [][]string
	got := 0
	for g.let <- nil; got < len(all); g.let <- nil {
		tickets := <-g.begun
		got += len(tickets)
		longest, tokens := 0, 0
		for _, r := range tickets {
			longest, tokens = max(longest, r.request.tokens()), tokens+r.request.tokens()
		}
		if padded := longest * len(tickets); padded > 200 || float64(padded-tokens) > 0.25*float64(padded) {
			t.Errorf("a pass of %d tokens, %d with padding: %v", tokens, padded, names(tickets))
		}
		passes = append(passes, names(tickets))
	}
	if passes[0][0] != "p0-10" {
		t.Errorf("got first %v, want p0", passes[0])
	}
	if err := errors.Join(<-first, <-batch); err != nil {
		t.Error(err)
	}
	s.close()
	if st := s.stats(); st.Texts != 41 || st.Passes != int64(len(passes)+1) || st.Padded*4 > st.Tokens {
		t.Errorf("got %+v for %d passes", st, len(passes)+1)
	}
}

// TestSchedulerIsFair has a batch of one profile, a batch of many, and a lone call that comes last.
func TestSchedulerIsFair(t *testing.T) {
	g, ctx := newGate(), context.Background()
	s := newScheduler(1, 10, 0, padding, g.answer) // a ticket a pass
	calls := []chan error{start(ctx, s, ticketOf("busy", 0, 10))}
	<-g.begun
	many := func(name string, n int) (tickets []*ticket) {
		for i := range n {
			tickets = append(tickets, ticketOf(fmt.Sprintf(name, i), i, 10))
		}
		return tickets
	}
	calls = append(calls, start(ctx, s, many("same", 30)...), start(ctx, s, many("m%d-", 30)...),
		start(ctx, s, ticketOf("lone", 0, 10)))
	var order []string
	for range 61 {
		g.let <- nil
		order = append(order, (<-g.begun)[0].request.profile)
	}
	g.let <- nil
	for _, done := range calls {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	s.close()
	if at := slices.Index(order, "lone"); at > 2*share {
		t.Errorf("the lone call's ticket was number %d of %v", at, order)
	}
	if at := slices.Index(order, "m29-"); at < 40 {
		t.Errorf("one batch ended at %d, before the other had its share: %v", at, order)
	}
	if len(s.turns) != 0 || s.tokens != 0 {
		t.Errorf("left over: %v, %d tokens", s.turns, s.tokens)
	}
}

// TestSchedulerContext gives up a call that waits, one that is in a pass, and sees a pass that
// fails in every call that was in it.
func TestSchedulerContext(t *testing.T) {
	g := newGate()
	s := newScheduler(1, 100, 0, padding, g.answer)
	ctx, cancel := context.WithCancel(context.Background())
	inPass := start(ctx, s, ticketOf("a", 0, 10))
	<-g.begun
	waits := start(ctx, s, ticketOf("b", 0, 10), ticketOf("c", 1, 10))
	stays := start(context.Background(), s, ticketOf("d", 0, 10))
	also := start(context.Background(), s, ticketOf("e", 0, 10))
	cancel()
	for _, done := range []chan error{inPass, waits} {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the ctx's error", err)
		}
	}
	g.let <- nil
	if d := cmp.Diff([]string{"d10", "e10"}, names(<-g.begun)); d != "" {
		t.Errorf("after two calls gave up (-want +got):\n%s", d)
	}
	broken := errors.New("broken")
	g.let <- broken
	for _, done := range []chan error{stays, also} {
		if err := <-done; !errors.Is(err, broken) {
			t.Errorf("got %v, want the pass's error", err)
		}
	}
	s.close()
}

// TestSchedulerWindow lets a lone ticket wait for others, no longer than it may, and not at all
// once a pass is full.
func TestSchedulerWindow(t *testing.T) {
	g, ctx := newGate(), context.Background()
	s := newScheduler(1, 100, time.Hour, padding, g.answer)
	a := start(ctx, s, ticketOf("a", 0, 30))
	b := start(ctx, s, ticketOf("b", 0, 30))
	select {
	case tickets := <-g.begun:
		t.Fatalf("got a pass of %v before the window or the tokens were full", names(tickets))
	case <-time.After(20 * time.Millisecond):
	}
	c := start(ctx, s, ticketOf("c", 0, 40))
	if got := <-g.begun; len(got) < 2 {
		t.Errorf("got %v, want more than one ticket", names(got))
	}
	s.mu.Lock()
	s.window = time.Millisecond // for what is left, if anything
	s.mu.Unlock()
	go func() {
		for range g.begun {
			g.let <- nil
		}
	}()
	g.let <- nil
	d := start(ctx, s, ticketOf("d", 0, 1))
	if err := errors.Join(<-a, <-b, <-c, <-d); err != nil {
		t.Error(err)
	}
	s.close()
	close(g.begun)
}

// TestSchedulerWindowPasses: however short its window, a lone call is answered when it has passed.
func TestSchedulerWindowPasses(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for window := time.Microsecond; window < time.Millisecond; window *= 10 {
		s := newScheduler(1, 100, window, padding, func([]*ticket) error { return nil })
		for i := range 500 {
			if err := s.run(ctx, &call{out: make([]Prediction, 1)}, []*ticket{ticketOf("", 0, 1)}); err != nil {
				t.Fatalf("call %d with a window of %v: %v", i, window, err)
			}
		}
		s.close()
	}
}

// elsewhere is an engine that says it is on a device.
type elsewhere struct{ engine.Engine }

func (elsewhere) Device() string { return deviceCUDA }

// TestGathered has many callers at once: their texts share passes, and each gets what it gets
// alone, through the kernels of the CPU and as on a device.
func TestGathered(t *testing.T) {
	c := strong(t)
	c.Options.Workers, c.Options.Gather = 1, 2*time.Millisecond
	p := create(t, c)
	narrow, _ := otherBank(t, RandomBank{N: 3, Seed: 4, Bottleneck: 2}, "narrow")
	if _, err := p.Import(context.Background(), bytes.NewReader(narrow), nil); err != nil {
		t.Fatal(err)
	}
	for a := range 8 {
		putMask(t, p, fmt.Sprint("p", a), 1, plainMask(t, 8, a))
	}
	text := func(i int) string { return strings.Repeat("server down ", 1+i%5) }
	id := func(i int) string {
		return append([]string{"", "narrow"}, strings.Fields("p0 p1 p2 p3 p4 p5 p6 p7")...)[i%10]
	}
	for _, device := range []bool{false, true} {
		if device {
			p.engine, p.scheduler.packs = elsewhere{p.engine}, false
		}
		before, err := p.Stats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		got := make([]Prediction, 60)
		var all sync.WaitGroup
		for i := range got {
			all.Add(1)
			go func() {
				defer all.Done()
				var err error
				if got[i], err = p.Predict(context.Background(), id(i), text(i),
					&PredictOptions{Fallback: FallbackBase}); err != nil && id(i) != "" {
					t.Error(err)
				}
			}()
		}
		all.Wait()
		after, err := p.Stats(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if d := after.Sub(before).Passes; d.Passes >= d.Texts || d.Texts != 54 {
			t.Errorf("got %+v, want fewer passes than the 54 texts", d)
		}
		for i, g := range got {
			if id(i) != "" {
				near(t, fmt.Sprintf("caller %d, %s", i, id(i)), g, expect(t, p, id(i), text(i)))
			}
		}
	}
}

// TestWanted: lanes count while they run, and for a while after.
func TestWanted(t *testing.T) {
	hold := make(chan struct{})
	begun := make(chan struct{}, 2)
	s := newScheduler(2, 1, 0, true, func([]*ticket) error {
		begun <- struct{}{}
		<-hold
		return nil
	})
	defer s.close()
	if n := s.wanted(); n != 0 {
		t.Errorf("got %d lanes wanted before any call", n)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Add(1)
		go func() {
			defer all.Done()
			c := &call{out: make([]Prediction, 1)}
			if err := s.run(context.Background(),
				c, []*ticket{{request: &request{text: model.Encoding{IDs: []int32{1}}}}}); err != nil {
				t.Error(err)
			}
		}()
	}
	<-begun
	<-begun
	if n := s.wanted(); n != 2 {
		t.Errorf("got %d lanes wanted while two run", n)
	}
	close(hold)
	all.Wait()
	if n := s.wanted(); n != 2 {
		t.Errorf("got %d lanes wanted just after two ran", n)
	}
	s.mu.Lock()
	s.busy = s.busy.Add(-2 * lately)
	s.mu.Unlock()
	if n := s.wanted(); n != 0 {
		t.Errorf("got %d lanes wanted long after", n)
	}
}
