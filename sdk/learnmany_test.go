package sdk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// requestsOf are requests of some profiles, of 3 to 12 examples each.
func requestsOf(ids ...string) (out []LearnRequest) {
	for i, id := range ids {
		out = append(out, LearnRequest{Profile: id, Examples: examples(3+3*(i%4), i)})
	}
	return out
}

// TestLearnManyIsLearn: profiles that are new, that have learned, that have heads and labels of
// their own, and one of numbers get what Learn gives each.
func TestLearnManyIsLearn(t *testing.T) {
	ctx, one, many := context.Background(), create(t, small(t)), create(t, small(t))
	requests := requestsOf("new", "zoe", "old", "own", "other labels", "more")
	requests[4].Examples = []Example{{Text: "server down", Label: "a"}, {Text: "free phone", Label: "b"},
		{Text: "win", Label: "c"}, {Text: "review", Label: "d"}}
	requests = append(requests, LearnRequest{Profile: "numbers", Examples: numbers(9)})
	for _, p := range []*Folder{one, many} {
		mustLearn(t, p, "old", examples(9, 2), forced())
		mustLearn(t, p, "own", examples(9, 2), own(2))
		o := own(2)
		o.Labels = []string{"a", "b", "c", "d"}
		mustLearn(t, p, "other labels", requests[4].Examples[:2], o)
		o = own(2)
		o.Head, o.Config.Bias = NumberHead, false
		mustLearn(t, p, "numbers", numbers(5), o)
	}
	o := quick()
	got, err := many.LearnMany(ctx, requests, o)
	if err != nil {
		t.Fatal(err)
	}
	near := cmpopts.EquateApprox(0, 1e-4)
	for i, r := range requests {
		want := mustLearn(t, one, r.Profile, r.Examples, o)
		if got[i].Err != nil {
			t.Fatalf("%s: got %v", r.Profile, got[i].Err)
		}
		if d := cmp.Diff(want, got[i].Report, near, cmpopts.IgnoreFields(Report{}, "Seconds")); d != "" {
			t.Errorf("%s (-alone +together):\n%s", r.Profile, d)
		}
		a, b := mustPredict(t, one, r.Profile, "server down"), mustPredict(t, many, r.Profile, "server down")
		if d := cmp.Diff(a, b, cmpopts.EquateApprox(0, 1e-3)); d != "" || math.Abs(valueOf(a)-valueOf(b)) > 1e-2 {
			t.Errorf("%s (-alone +together):\n%s", r.Profile, d)
		}
	}
}

// TestLearnManyErrors: a request that cannot be learned has its own error; the others are learned.
func TestLearnManyErrors(t *testing.T) {
	p := create(t, small(t))
	requests := requestsOf("alice", "", "bob", "carol")
	requests[2].Examples = []Example{{Text: "x", Label: "spam"}}
	requests[3].Examples = nil
	got, err := p.LearnMany(context.Background(), requests, quick())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, ErrID, ErrUnknownLabel, ErrExample} {
		if !errors.Is(got[i].Err, want) || (got[i].Report != nil) != (want == nil) {
			t.Errorf("request %d: got %v and a report: %v, want %v", i, got[i].Err, got[i].Report != nil, want)
		}
	}
	if st, err := p.Stats(context.Background()); err != nil || st.Learns != 1 {
		t.Errorf("got %d learns (%v), want 1", st.Learns, err)
	}
	if _, err := p.LearnMany(context.Background(), requestsOf("dora", "eve", "dora"), quick()); !errors.Is(err,
		ErrDuplicateProfile) {
		t.Errorf("got %v, want ErrDuplicateProfile", err)
	}
	if _, err := p.Profile(context.Background(), "eve"); !errors.Is(err, ErrProfileNotFound) {
		t.Errorf("got %v, want nothing learned", err)
	}
	bad := quick()
	bad.Effort = "heroic"
	if _, err := p.LearnMany(context.Background(), requestsOf("dora"), bad); !errors.Is(err, ErrConfig) {
		t.Errorf("got %v, want ErrConfig", err)
	}
	over := quick()
	over.Config.K = 13 // of 12: the same fault in all
	got, err = p.LearnMany(context.Background(), requestsOf("dora", "eve"), over)
	if err != nil || !errors.Is(got[0].Err, ErrLearnConfig) || !errors.Is(got[1].Err, ErrLearnConfig) {
		t.Errorf("got %v and %+v, want ErrLearnConfig for each", err, got)
	}
	if got, err := p.LearnMany(context.Background(), nil, nil); err != nil || len(got) != 0 {
		t.Errorf("no requests: got %v, %v", got, err)
	}
}

// TestLearnManyCancelled leaves everything as it was.
func TestLearnManyCancelled(t *testing.T) {
	p, o := create(t, small(t)), quick()
	ctx, cancel := context.WithCancel(context.Background())
	o.Progress = func(step, _ int, _ float32) { cancel() }
	got, err := p.LearnMany(ctx, requestsOf("alice", "bob"), o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	for i, id := range []string{"alice", "bob"} {
		if _, err := p.Profile(context.Background(), id); !errors.Is(err, ErrProfileNotFound) ||
			!errors.Is(got[i].Err, context.Canceled) {
			t.Errorf("%s: got %v and a result of %v, want nothing learned", id, err, got[i].Err)
		}
	}
}

// TestLearnManyAtOnce: calls that name the same profiles in other orders, Learn, Forget and
// Rollback end, and every profile is whole.
func TestLearnManyAtOnce(t *testing.T) {
	c := small(t)
	c.Options.Learns, c.Options.Workers = 3, 3
	p := create(t, c)
	ids := []string{"a", "b", "c", "d", "e", "f"}
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	var wg sync.WaitGroup
	run := func(f func() error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			// A profile that an Observe makes meanwhile is a conflict for a first Learn.
			if err := f(); err != nil && !errors.Is(err, ErrProfileNotFound) &&
				!errors.Is(err, ErrRevisionNotFound) && !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
		}()
	}
	for round := range 3 {
		requests := requestsOf(ids...)
		if round%2 == 1 {
			slices.Reverse(requests)
		}
		run(func() error {
			out, err := p.LearnMany(ctx, requests, forced())
			for _, r := range out {
				if r.Err != nil && !errors.Is(r.Err, ErrConflict) {
					err = errors.Join(err, r.Err)
				}
			}
			return err
		})
		run(func() error { _, err := p.Learn(ctx, ids[round], examples(6, 0), forced()); return err })
		run(func() error { return p.Forget(ctx, ids[round+1]) })
		run(func() error { _, err := p.Rollback(ctx, ids[round+2], nil); return err })
		run(func() error { return p.Observe(ctx, ids[round+3], examples(1, 0)[0]) })
	}
	wg.Wait()
	if _, err := p.LearnMany(ctx, requestsOf(ids...), forced()); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		mustPredict(t, p, id, "server down")
	}
}

// TestLearnManyMore: more profiles than are locked at a time.
func TestLearnManyMore(t *testing.T) {
	t.Parallel()
	p := create(t, small(t))
	var ids []string
	for i := range manyAtOnce + 5 {
		ids = append(ids, fmt.Sprint("user ", i))
	}
	requests := requestsOf(ids...)
	o := quick()
	o.Config.Epochs = 1
	got, err := p.LearnMany(context.Background(), requests, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range got {
		if r.Err != nil || r.Report.Profile != ids[i] || r.Report.Revision != 1 {
			t.Fatalf("request %d: got %+v, want a first revision of %s", i, r, ids[i])
		}
	}
}
