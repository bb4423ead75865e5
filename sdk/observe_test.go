package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// watched collects what OnLearned hears.
type watched struct {
	mu   sync.Mutex
	ids  []string
	errs []error
	reps map[string]*Report // the last of each
}

func (w *watched) heard(id string, rep *Report, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids, w.errs = append(w.ids, id), append(w.errs, err)
	if w.reps == nil {
		w.reps = map[string]*Report{}
	}
	w.reps[id] = rep
}

func (w *watched) count(id string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.ids {
		if x == id {
			n++
		}
	}
	return n
}

func observing(t *testing.T) (*Folder, *watched) {
	t.Helper()
	w := &watched{}
	c := small(t)
	c.Options.OnLearned = w.heard
	return create(t, c), w
}

func mustObserve(t testing.TB, p *Folder, id string, es ...Example) {
	t.Helper()
	for _, e := range es {
		if err := p.Observe(context.Background(), id, e); err != nil {
			t.Fatal(err)
		}
	}
}

func drain(t *testing.T, p *Folder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.Drain(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestObserveFirst: a profile is served, with its label prior, from its first example on.
func TestObserveFirst(t *testing.T) {
	p, w := observing(t)
	es := examples(60, 0)
	mustObserve(t, p, "ann", es[0])
	out := mustPredict(t, p, "ann", "server down")
	base, err := p.Predict(context.Background(), "nobody", "server down", &PredictOptions{Fallback: FallbackBase})
	if err != nil {
		t.Fatal(err)
	}
	probability := func(out Prediction) float32 {
		for _, q := range out.Probabilities {
			if q.Label == es[0].Label {
				return q.P
			}
		}
		return -1
	}
	if out.Source != SourceProfile || !(probability(out) > probability(base)) {
		t.Errorf("got %g for the label that was observed, the base gives %g", probability(out), probability(base))
	}
	if stored, err := p.stored("ann"); err != nil || len(stored) != 1 {
		t.Errorf("got %d stored examples (%v), want 1", len(stored), err)
	}
	drain(t, p)
	if n := w.count("ann"); n != 0 {
		t.Errorf("one example was learned %d times", n)
	}
}

// TestObserveLearns: enough new examples are learned in the background, once, and the profile's
// turn comes again with as many more. TestObservePrior: until the first training the prior counts
// every example, the last label of each text.
func TestObservePrior(t *testing.T) {
	p, _ := observing(t)
	es := examples(60, 0)
	again := es[0]
	again.Label = es[1].Label
	mustObserve(t, p, "ann", es[0], es[1], again)
	rec, err := p.store.Get("ann")
	if err != nil {
		t.Fatal(err)
	}
	_, head, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	h, err := p.head(head)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]uint32, len(h.Labels))
	c, _ := h.Label(es[1].Label)
	want[c] = 2
	if !slices.Equal(rec.Prior, want) || learned(rec) {
		t.Errorf("got a prior of %v, learned from %d, want %v and 0", rec.Prior, rec.Examples, want)
	}
	if stored, err := p.stored("ann"); err != nil || len(stored) != 2 {
		t.Errorf("got %d stored examples, %v, want 2", len(stored), err)
	}
}

func TestObserveLearns(t *testing.T) {
	p, w := observing(t)
	es := examples(60, 0)
	mustObserve(t, p, "ann", es[:leastObserved]...)
	drain(t, p)
	info, err := p.Profile(context.Background(), "ann")
	if err != nil || w.count("ann") != 1 || info.Revision != leastObserved+1 || info.Examples != leastObserved {
		t.Fatalf("got %+v after %d learnings (%v), want revision %d of %d examples", info, w.count("ann"), err,
			leastObserved+1, leastObserved)
	}
	mustObserve(t, p, "ann", es[leastObserved:2*leastObserved-1]...)
	drain(t, p)
	if n := w.count("ann"); n != 1 {
		t.Errorf("3 more examples: learned %d times", n)
	}
	mustObserve(t, p, "ann", es[2*leastObserved-1])
	drain(t, p)
	if n := w.count("ann"); n != 2 {
		t.Errorf("4 more examples: learned %d times, want 2", n)
	}
	for _, err := range w.errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// TestObserveIsFair: a profile that never stops talking does not keep others from their turn.
func TestObserveIsFair(t *testing.T) {
	w, c, all := &watched{}, small(t), make(chan struct{})
	c.Options.OnLearned = func(id string, rep *Report, err error) {
		w.heard(id, rep, err)
		<-all // on a fast machine it would learn between any two of the examples
	}
	p := create(t, c)
	es := examples(60, 0)
	mustObserve(t, p, "chatty", es[:40]...)
	mustObserve(t, p, "quiet", es[:leastObserved]...)
	mustObserve(t, p, "chatty", es[40:]...)
	close(all)
	drain(t, p)
	if w.count("quiet") != 1 || w.count("chatty") < 1 {
		t.Fatalf("got turns %v", w.ids)
	}
	for i, id := range w.ids {
		if id == "quiet" && i > 2 { // the chatty one may have been due again before it
			t.Errorf("got turns %v, want the quiet one third at the latest", w.ids)
		}
	}
}

// TestObserveManyDue: profiles that become due while others learn are taken together, each once,
// and each is heard of.
func TestObserveManyDue(t *testing.T) {
	w, c, all := &watched{}, small(t), make(chan struct{})
	c.Options.OnLearned = func(id string, rep *Report, err error) {
		w.heard(id, rep, err)
		<-all // until all others are due
	}
	p := create(t, c)
	var ids []string
	for i := range mostDue + 3 {
		id := fmt.Sprint("user ", i)
		if mustObserve(t, p, id, examples(leastObserved, i)...); i > 0 {
			ids = append(ids, id)
		}
	}
	o := &p.observer
	o.mu.Lock()
	due := len(o.queue)
	o.mu.Unlock()
	if due < mostDue {
		t.Fatalf("got %d profiles due, want those that came while the first learned", due)
	}
	close(all)
	drain(t, p)
	for _, id := range ids {
		if n := w.count(id); n != 1 {
			t.Errorf("%s: learned %d times, want once", id, n)
		}
	}
	if st, err := p.Stats(context.Background()); err != nil || st.Learns != int64(mostDue+3) {
		t.Errorf("got %d learns (%v), want %d", st.Learns, err, mostDue+3)
	}
}

func TestObserveRefuses(t *testing.T) {
	p, _ := observing(t)
	ctx := context.Background()
	for name, tt := range map[string]struct {
		id   string
		e    Example
		want error
	}{
		"an unknown label": {"ann", Example{Text: "x", Label: "nonsense"}, ErrUnknownLabel},
		"no label":         {"ann", Example{Text: "x"}, ErrExample},
		"no text":          {"ann", Example{Label: labels[0]}, ErrExample},
		"no id":            {"", Example{Text: "x", Label: labels[0]}, ErrID},
	} {
		if err := p.Observe(ctx, tt.id, tt.e); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
	if _, err := p.Profile(ctx, "ann"); !errors.Is(err, ErrProfileNotFound) {
		t.Errorf("a refused example made a profile: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.Observe(done, "ann", Example{Text: "x", Label: labels[0]}); !errors.Is(err, context.Canceled) {
		t.Errorf("a done ctx: got %v", err)
	}
}

// TestObserveSurvives: what was observed before Close is stored, and counts at the first Observe
// after Open.
func TestObserveSurvives(t *testing.T) {
	w := &watched{}
	c := small(t)
	dir := t.TempDir() + "/store"
	p, err := Create(context.Background(), dir, c)
	if err != nil {
		t.Fatal(err)
	}
	es := examples(60, 0)
	mustObserve(t, p, "ann", es[:leastObserved-1]...)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Observe(context.Background(), "ann", es[9]); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v", err)
	}
	p, err = Open(context.Background(), dir, &Options{OnLearned: w.heard})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	mustObserve(t, p, "ann", es[leastObserved-1])
	drain(t, p)
	if w.count("ann") != 1 {
		t.Errorf("learned %d times, want once", w.count("ann"))
	}
}

// TestObserveTogether: many observe, learn, predict, forget and close at once.
func TestObserveTogether(t *testing.T) {
	p, _ := observing(t)
	ctx := context.Background()
	es := examples(24, 0)
	var all sync.WaitGroup
	for g := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			id := fmt.Sprint("user", g%3)
			for i, e := range es {
				if err := p.Observe(ctx, id, e); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
				if g == 3 && i%8 == 7 {
					if err := p.Forget(ctx, id); err != nil && !errors.Is(err, ErrProfileNotFound) &&
						!errors.Is(err, ErrClosed) {
						t.Error(err)
					}
				}
				if _, err := p.Predict(ctx, id, e.Text, &PredictOptions{Fallback: FallbackBase}); err != nil &&
					!errors.Is(err, ErrClosed) {
					t.Error(err)
				}
			}
		}()
	}
	time.Sleep(300 * time.Millisecond)
	if err := p.Close(); err != nil { // with learning in progress
		t.Error(err)
	}
	all.Wait()
}

func TestRollback(t *testing.T) {
	p := create(t, small(t))
	ctx := context.Background()
	if _, err := p.Rollback(ctx, "ann", nil); !errors.Is(err, ErrProfileNotFound) {
		t.Errorf("no profile: got %v", err)
	}
	force := own(10)
	force.Force = true
	mustLearn(t, p, "ann", examples(30, 0), force)
	if _, err := p.Rollback(ctx, "ann", nil); !errors.Is(err, ErrRevisionNotFound) {
		t.Errorf("nothing earlier: got %v", err)
	}
	first := mustPredict(t, p, "ann", "server down")
	mustLearn(t, p, "ann", examples(30, 1), force)
	second := mustPredict(t, p, "ann", "server down")
	if fmt.Sprint(first.Probabilities) == fmt.Sprint(second.Probabilities) {
		t.Fatal("both revisions answer alike: the test could not fail")
	}
	if _, err := p.Rollback(ctx, "ann", &RollbackOptions{Revision: 77}); !errors.Is(err, ErrRevisionNotFound) {
		t.Errorf("revision 77: got %v", err)
	}
	now, err := p.Rollback(ctx, "ann", &RollbackOptions{Revision: 1})
	if err != nil || now != 3 {
		t.Fatalf("got revision %d (%v), want 3", now, err)
	}
	back := mustPredict(t, p, "ann", "server down")
	if fmt.Sprint(back.Probabilities) != fmt.Sprint(first.Probabilities) || back.Revision != 3 {
		t.Errorf("got %v of revision %d, want those of revision 1: %v", back.Probabilities, back.Revision,
			first.Probabilities)
	}
	if state, err := p.store.State("ann"); err != nil || state != nil {
		t.Errorf("the state of other masks is still there (%v)", err)
	}
	history, err := p.History(ctx, "ann")
	if err != nil || len(history) != 2 || history[0].Revision != 2 || history[1].Revision != 1 {
		t.Errorf("got history %+v (%v)", history, err)
	}
	if _, err := p.Rollback(ctx, "ann", nil); err != nil { // the one before: revision 2
		t.Fatal(err)
	}
	if again := mustPredict(t, p, "ann",
		"server down"); fmt.Sprint(again.Probabilities) != fmt.Sprint(second.Probabilities) {
		t.Errorf("got %v, want those of revision 2: %v", again.Probabilities, second.Probabilities)
	}
	mustLearn(t, p, "ann", examples(30, 0), nil)
}

// TestForgottenWhileLearning: an id that is forgotten loses its turn, and leaves nothing behind in
// memory.
func TestForgottenWhileLearning(t *testing.T) {
	p := create(t, small(t))
	o := observer{queue: []string{"a", "b"}, queued: map[string]bool{"a": true, "b": true}, found: true}
	o.forget("a")
	if ids := o.next(); !slices.Equal(ids, []string{"b"}) {
		t.Errorf("got %v, want b alone", ids)
	}
	o.done(p, []string{"b"}, make([]LearnResult, 1)) // b is no profile any more
	if len(o.queue)+len(o.busy)+len(o.queued) > 0 || o.after || o.ended != nil {
		t.Errorf("got queue %v, busy %v: something of b is left", o.queue, o.busy)
	}
}
