package sdk

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// oracle knows what every revision that ever was answers.
type oracle struct {
	mu   sync.Mutex
	seen map[string][]Prediction // by id
}

func (o *oracle) add(out Prediction) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[out.Profile] = append(o.seen[out.Profile], out)
}

// knows says whether an answer is, within rounding, that of one whole revision.
func (o *oracle) knows(out Prediction) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, want := range o.seen[out.Profile] {
		if want.Revision == out.Revision && distance(out, want) <= 1e-5 && out.Label == want.Label {
			return true
		}
	}
	return false
}

// TestConcurrent learns, imports and forgets while others predict: every answer is that of one
// whole revision. The answers are checked after the fact, against what each revision answers alone.
func TestConcurrent(t *testing.T) {
	const text = "server down"
	ctx := context.Background()
	c := strong(t)
	c.Options.Workers, c.Options.Learns, c.Options.CacheBytes = 3, 2, 6000 // about two adapters
	p := create(t, c)
	masks := forced() // only
	masks.Config.Affine, masks.Config.MaskRate, masks.Config.Nu = false, 1, 2
	revisions := oracle{seen: map[string][]Prediction{}}
	var bundles [][]byte
	for i := range 2 {
		mustLearn(t, p, "imported", examples(12, i), masks)
		var b bytes.Buffer
		if _, err := p.Export(ctx, &b, &ExportOptions{IDs: []string{"imported"}}); err != nil {
			t.Fatal(err)
		}
		bundles = append(bundles, b.Bytes())
	}
	mustLearn(t, p, "learned", examples(12, 0), masks)
	var (
		readers, writers sync.WaitGroup
		stop             atomic.Bool
		answers          = make([][]Prediction, 10)
	)
	// Revisions are told apart by their answers when each writer has its profile to itself.
	note := func(id string) {
		out, err := p.Predict(ctx, id, text, nil)
		if err != nil {
			t.Error(err)
		}
		revisions.add(out)
	}
	note("imported")
	note("learned")
	for i := range answers {
		readers.Add(1)
		go func() {
			defer readers.Done()
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			ids := []string{"imported", "learned", "forgotten", ""}
			for !stop.Load() {
				reqs := make([]Request, 1+rng.IntN(6))
				for j := range reqs {
					id := ids[rng.IntN(4)]
					reqs[j] = Request{Profile: id, Base: id == "", Text: text}
				}
				out, err := p.PredictBatch(ctx, reqs)
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = append(answers[i], out...)
			}
		}()
	}
	writer := func(n int, f func(i int) error) {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for i := range n {
				if err := f(i); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	writer(6, func(i int) error {
		_, err := p.Learn(ctx, "learned", examples(12, i+1), masks)
		note("learned")
		return err
	})
	writer(12, func(i int) error {
		_, err := p.Import(ctx, bytes.NewReader(bundles[i%2]), &ImportOptions{Policy: Overwrite})
		note("imported")
		return err
	})
	writer(4, func(i int) error {
		_, err := p.Learn(ctx, "forgotten", examples(12, i), masks)
		note("forgotten")
		return errors.Join(err, p.Forget(ctx, "forgotten"))
	})
	writers.Wait()
	stop.Store(true)
	readers.Wait()
	base := mustBatch(t, p, []Request{{Base: true, Text: text}})[0]
	revisions.add(base)
	checked := 0
	for _, list := range answers {
		for _, out := range list {
			if out.Profile == "forgotten" && errors.Is(out.Err, ErrProfileNotFound) {
				continue
			}
			if checked++; out.Err != nil || !revisions.knows(out) {
				t.Fatalf("got %+v, want the answer of one of %+v", out, revisions.seen[out.Profile])
			}
		}
	}
	if checked == 0 {
		t.Error("got no answers to check")
	}
	t.Logf("%d answers, %d revisions", checked, len(revisions.seen["learned"])+len(revisions.seen["imported"])+
		len(revisions.seen["forgotten"]))
}

// TestForgetInFlight forgets a profile whose adapter is in use.
func TestForgetInFlight(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(6, 0), forced())
	want := mustPredict(t, p, "alice", "server down")
	r, err := p.resolve(Request{Profile: "alice", Text: "server down"})
	if err != nil {
		t.Fatal(err)
	}
	asked := &ticket{request: r}
	entries, _, err := p.pin(ctx, []*ticket{asked})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Forget(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if err := p.forward([]*ticket{asked}); err != nil {
		t.Fatal(err)
	}
	near(t, "a Predict that began before", asked.answer, want)
	p.unpin(entries)
	wantError(t, "Forget", p.Forget(ctx, "alice"), ErrProfileNotFound)
	wantError(t, "Forget", p.Forget(ctx, ""), ErrID)
	_, err = p.Predict(ctx, "alice", "server down", nil)
	wantError(t, "Predict", err, ErrProfileNotFound)
	for _, get := range []func() error{
		func() error { _, err := p.store.Examples("alice"); return err },
		func() error { _, err := p.store.State("alice"); return err },
		func() error { _, err := p.store.History("alice"); return err },
		func() error { _, err := p.Profile(ctx, "alice"); return err },
	} {
		wantError(t, "after Forget", get(), ErrProfileNotFound)
	}
	if rep := mustLearn(t, p, "alice", examples(6, 1), forced()); rep.Revision != 1 || rep.Examples != 6 {
		t.Errorf("got %+v, want a new profile", rep)
	}
}
