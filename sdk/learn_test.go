package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/learner"
)

// own is a configuration that learns the examples by heart: an own head at a high rate.
func own(epochs int) *LearnOptions {
	o := quick()
	o.Head, o.Config.Epochs, o.Config.HeadRate = OwnHead, epochs, 0.05
	return o
}

func TestLearnAgain(t *testing.T) {
	p := create(t, small(t))
	es := examples(36, 0)
	first := mustLearn(t, p, "alice", es[:18], forced())
	if first.Revision != 1 || !first.Installed || first.Examples != 18 {
		t.Errorf("got %+v, want revision 1 of 18 examples", first)
	}
	second := mustLearn(t, p, "alice", es[18:], forced())
	if second.Revision != 2 || second.Examples != 36 || second.Start != StartFresh {
		t.Errorf("got %+v, want revision 2 of 36 examples: the stored ones are replayed", second)
	}
	if third := mustLearn(t, p, "alice", es[:3], forced()); third.Revision != 3 || third.Examples != 36 ||
		third.Before.N != 36 {
		t.Errorf("got %+v, want revision 3 of the same 36 examples, and revision 2 measured on all of them", third)
	}
	stored, err := p.stored("alice")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(append(slices.Clone(es[3:]), es[:3]...), stored); d != "" { // what was taught again is the newest
		t.Errorf("stored examples (-want +got):\n%s", d)
	}
	info, err := p.Profile(context.Background(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if info.Revision != 3 || info.Examples != 36 || info.Head != SharedHead || info.MaskBytes != 8 ||
		!cmp.Equal(info.Labels, labels) {
		t.Errorf("got %+v, want revision 3 of 36 examples in 8 bytes of masks", info)
	}
}

// dropping is forced, and stores no examples.
func dropping() *LearnOptions {
	o := forced()
	o.DropExamples = true
	return o
}

// TestLearnGoesOn: a profile none of whose examples is stored goes on from its mask, as a Learn
// that cannot move anything shows; one whose examples are begins anew.
func TestLearnGoesOn(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(18, 0), dropping())
	rec, err := p.store.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	still := dropping()
	still.Config.MaskRate, still.Config.AffineRate, still.Config.BiasRate, still.Config.Nu = 0, 0, 0, 0
	if again := mustLearn(t, p, "alice", examples(36, 0)[18:], still); again.Start != StartProfile ||
		again.Before.N != 18 || math.Abs(again.Before.Loss-again.After.Loss) > 0.05 {
		t.Errorf("got %+v, want it to go on from the profile, whose answers hardly change by the prior", again)
	}
	after, err := p.store.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(after.Mask.Bytes(), rec.Mask.Bytes()) || !bytes.Equal(after.Affine, rec.Affine) {
		t.Error("got another mask or affine from a Learn at rate 0 that starts from the mask")
	}
	mustLearn(t, p, "bob", examples(18, 0), forced())
	still.DropExamples = false
	if rep := mustLearn(t, p, "bob", examples(21, 0)[18:], still); rep.Start != StartFresh {
		t.Errorf("got %+v, want a fresh start", rep)
	}
}

// TestAffineStays says that a profile's affine survives a Learn that does not train it.
func TestAffineStays(t *testing.T) {
	p := create(t, small(t))
	o := dropping()
	o.Config.AffineRate = 0.5
	mustLearn(t, p, "alice", examples(18, 0), o)
	before, err := p.store.Get("alice")
	if err != nil || before.Affine == nil {
		t.Fatalf("got affine %x and %v, want one", before.Affine, err)
	}
	o.Config.Affine = false
	mustLearn(t, p, "alice", examples(18, 0), o)
	if after, err := p.store.Get("alice"); err != nil || !bytes.Equal(after.Affine, before.Affine) {
		t.Errorf("got affine %x (%v), want %x", after.Affine, err, before.Affine)
	}
}

func TestDropExamples(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(18, 0), forced())
	rep := mustLearn(t, p, "alice", examples(36, 0)[18:], dropping())
	if rep.Examples != 18 {
		t.Errorf("got %d examples, want the 18 given", rep.Examples)
	}
	if stored, err := p.stored("alice"); err != nil || len(stored) != 0 {
		t.Errorf("got %d stored examples (%v), want none", len(stored), err)
	}
	rec, err := p.store.Get("alice")
	if err != nil || rec.Examples != 36 || !cmp.Equal(rec.Prior, []uint32{12, 12, 12}) {
		t.Errorf("got %d examples and a prior of %v (%v), want 36 and 12 of each label", rec.Examples, rec.Prior, err)
	}
}

func TestLearnFaults(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	ok, soft, k := examples(6, 0), learner.Default(), learner.Default()
	soft.Soft, k.K = true, 13
	one := func(e Example) []Example { return append(examples(3, 0), e) }
	for _, c := range []struct {
		name     string
		id       string
		examples []Example
		o        *LearnOptions
		want     error
	}{
		{"no id", "", ok, nil, ErrID},
		{"a long id", strings.Repeat("x", 257), ok, nil, ErrID},
		{"an id that is not UTF-8", "\xff", ok, nil, ErrID},
		{"no examples", "a", nil, nil, ErrExample},
		{"no text", "a", one(Example{Label: "later"}), nil, ErrExample},
		{"only spaces", "a", one(Example{Text: " \n", Label: "later"}), nil, ErrExample},
		{"no label", "a", one(Example{Text: "x"}), nil, ErrExample},
		{"a value for a head of labels", "a", one(Example{Text: "x", Value: Number(3)}), nil, ErrExample},
		{"both", "a", one(Example{Text: "x", Label: "later", Value: Number(3)}), nil, ErrExample},
		{"a value that is not finite", "a", one(Example{Text: "x", Value: Number(math.NaN())}),
			&LearnOptions{Head: NumberHead}, ErrExample},
		{"a value over float32", "a", one(Example{Text: "x", Value: Number(1e39)}), &LearnOptions{Head: NumberHead},
			ErrExample},
		{"a label for a head of numbers", "a", one(Example{Text: "x", Label: "later"}),
			&LearnOptions{Head: NumberHead}, ErrExample},
		{"a label like a number's", "a", one(Example{Text: "x", Label: "\x015"}), nil, ErrExample},
		{"an unknown label", "a", one(Example{Text: "x", Label: "never"}), nil, ErrUnknownLabel},
		{"an unknown label of its own", "a", ok, &LearnOptions{Labels: []string{"a", "b"}}, ErrUnknownLabel},
		{"a long text", "a", one(Example{Text: strings.Repeat("x", 64<<10), Label: "later"}), nil, ErrLimit},
		{"one label", "a", ok, &LearnOptions{Labels: []string{"later"}}, ErrConfig},
		{"a label twice", "a", ok, &LearnOptions{Labels: []string{"later", "later"}}, ErrConfig},
		{"labels for the shared head", "a", ok, &LearnOptions{Head: SharedHead, Labels: labels}, ErrConfig},
		{"new labels for numbers", "a", ok, &LearnOptions{Head: NumberHead, AddLabels: true}, ErrConfig},
		{"a head of no kind", "a", ok, &LearnOptions{Head: "huge"}, ErrConfig},
		{"a soft mask", "a", ok, &LearnOptions{Config: &soft}, ErrConfig},
		{"K over N", "a", ok, &LearnOptions{Config: &k}, ErrLearnConfig},
		{"no epochs", "a", ok, &LearnOptions{Config: &learner.Config{}}, ErrLearnConfig},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep, err := p.Learn(ctx, c.id, c.examples, c.o)
			if wantError(t, "Learn", err, c.want); rep != nil {
				t.Errorf("got %+v beside an error", rep)
			}
		})
	}
	_, err := p.Learn(ctx, "a", ok, &LearnOptions{Head: "huge", Labels: []string{"", "\x01"}})
	for _, want := range []string{"huge", `""`, `\x01`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
	for info, err := range p.Profiles(ctx, nil) {
		t.Errorf("got profile %+v (%v), want none", info, err)
	}
}

func TestLearnCancelled(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(18, 0), forced())
	before, err := p.store.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := forced()
	o.Config.Epochs = 1_000_000
	steps := 0
	o.Progress = func(step, total int, loss float32) {
		if steps++; step == 3 {
			cancel()
		}
	}
	began := time.Now()
	_, err = p.Learn(ctx, "alice", examples(18, 1), o)
	if wantError(t, "Learn", err, context.Canceled); steps > 4 || time.Since(began) > 10*time.Second {
		t.Errorf("got %d steps in %v after the end of ctx, want it to end within one", steps-3, time.Since(began))
	}
	_, err = p.Learn(ctx, "alice", examples(18, 1), nil)
	wantError(t, "Learn with an ended ctx", err, context.Canceled)
	_, err = p.Learn(ctx, "bob", examples(18, 1), nil)
	wantError(t, "Learn with an ended ctx", err, context.Canceled)
	after, err := p.store.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before.Mask.Bytes(), after.Mask.Bytes()); d != "" || after.Revision != 1 {
		t.Errorf("got revision %d with mask (-want +got):\n%s", after.Revision, d)
	}
	if stored, err := p.stored("alice"); err != nil || len(stored) != 18 || !cmp.Equal(stored[0], examples(18, 0)[0]) {
		t.Errorf("got %d stored examples (%v), want the first 18", len(stored), err)
	}
	_, err = p.Predict(ctx, "alice", "server down", nil)
	wantError(t, "Predict with an ended ctx", err, context.Canceled)
}

// TestLearnQueues has Learns wait for another and give up, a Forget that does too and has ended the
// Learn before it, and a Learn behind these.
func TestLearnQueues(t *testing.T) {
	p := create(t, small(t))
	started, finish, done := make(chan struct{}), make(chan struct{}), make(chan error)
	o := forced()
	o.Progress = func(step, steps int, loss float32) {
		if step == 1 {
			close(started)
			<-finish
		}
	}
	go func() {
		_, err := p.Learn(context.Background(), "alice", examples(12, 0), o)
		done <- err
	}()
	<-started
	for _, id := range []string{"alice", "bob"} { // one waits for the profile, the other for its turn
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err := p.Learn(ctx, id, examples(12, 0), forced())
		wantError(t, "a Learn behind another", err, context.DeadlineExceeded)
		cancel()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	wantError(t, "a Forget behind a Learn", p.Forget(ctx, "alice"), context.DeadlineExceeded)
	cancel()
	go func() {
		rep, err := p.Learn(context.Background(), "alice", examples(12, 0), forced())
		if err == nil && rep.Revision != 1 {
			err = fmt.Errorf("got revision %d, want 1", rep.Revision)
		}
		done <- err
	}()
	close(finish)
	wantError(t, "the Learn before a Forget", <-done, ErrConflict)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLearnConflict replaces the profile while it is being learned.
func TestLearnConflict(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(12, 0), forced())
	var b bytes.Buffer
	if _, err := p.Export(ctx, &b, nil); err != nil {
		t.Fatal(err)
	}
	o := forced()
	o.Progress = func(step, steps int, loss float32) {
		if step == 1 {
			if _, err := p.Import(ctx, &b, &ImportOptions{Policy: Overwrite}); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := p.Learn(ctx, "alice", examples(12, 1), o)
	wantError(t, "Learn", err, ErrConflict)
}

// TestHeldOut: neither label nor profile decides what is kept back, nor what does not make a text
// another.
func TestHeldOut(t *testing.T) {
	held := 0
	for i := range 1000 {
		e := Example{Text: fmt.Sprint("text é ", i), Label: "a"}
		now := heldOut(e)
		if now {
			held++
		}
		for _, same := range []Example{
			{Text: e.Text, Label: "b", Value: Number(5), Weight: 2},
			{Text: fmt.Sprint("  text\té\n ", i, " ")},
			{Text: fmt.Sprint("TEXT E\u0301 ", i)},
		} {
			if heldOut(same) != now {
				t.Fatalf("example %d changes its part as %q", i, same.Text)
			}
		}
	}
	if held < 250 || held > 350 {
		t.Errorf("got %d of 1000 held out, want about 300", held)
	}
}

func TestReportBytes(t *testing.T) {
	p := create(t, small(t))
	for i, o := range []*LearnOptions{quick(), own(1), forced()} {
		rep := mustLearn(t, p, "alice", examples(12, 0), o)
		info, err := p.Profile(context.Background(), "alice")
		if err != nil || rep.Bytes != info.Bytes || rep.Bytes == 0 || rep.MaskBytes != info.MaskBytes {
			t.Errorf("Learn %d: got %d bytes, want %d (%v)", i, rep.Bytes, info.Bytes, err)
		}
		st, err := p.Stats(context.Background())
		if err != nil || st.Store.RecordBytes != int64(rep.Bytes) {
			t.Errorf("Learn %d: got %d bytes, Stats says %d (%v)", i, rep.Bytes, st.Store.RecordBytes, err)
		}
	}
}

// TestStoredNumbers says that numbers come back out of the store as they went in.
func TestStoredNumbers(t *testing.T) {
	in := []Example{
		{Text: "a", Value: Number(-1.5)},
		{Text: "b", Value: Number(0)},
		{Text: "c", Value: Number(1e-30)},
		{Text: "d", Label: "x"},
	}
	for i, r := range records(in) {
		if got := given(r); !cmp.Equal(got, in[i]) {
			t.Errorf("got %+v, want %+v", got, in[i])
		}
	}
}

var errTest = errors.New("test")
