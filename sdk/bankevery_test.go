package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// everyThree is a folder of people who differ, in which three who learn are enough for a bank; over
// the real weights if there are any.
func everyThree(t *testing.T) (*Folder, *planted, *Options, *logbook) {
	book := &logbook{}
	c := small(t)
	c.Masks, c.Labels, c.Options.ObserveEvery, c.Options.BankEvery = false, sides, 1<<20, 3
	c.Options.Logger = slog.New(slog.NewJSONHandler(book, nil))
	if model := os.Getenv("XPEFT_MODEL"); model != "" {
		c.Model = model
	}
	p := create(t, c)
	q := plantedIn(t, p, 40, 1, 1)
	for u := range 40 { // whom no learning waits for
		es := records(q.person(24))
		for i := range es {
			es[i].Known = true
		}
		id := fmt.Sprint("old ", u)
		if err := p.observe(context.Background(), id, es[0]); err != nil {
			t.Fatal(err)
		}
		if err := p.store.Beside(context.Background(), id, store.Write{Append: es[1:]}); err != nil {
			t.Fatal(err)
		}
	}
	return p, q, c.Options, book
}

// TestBankEvery: the third person who learns since the last bank begins the next one, across Open;
// one who learns twice is one.
func TestBankEvery(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, q, o, book := everyThree(t)
	learnThese := func(ids ...string) {
		t.Helper()
		for _, id := range ids {
			mustLearn(t, p, id, q.person(6), &LearnOptions{Force: true})
		}
		if err := p.Drain(ctx); err != nil {
			t.Fatal(err)
		}
	}
	last := func() *BankRun {
		t.Helper()
		st, err := p.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st.Bank
	}
	learnThese("learns 1", "learns 2", "learns 2", "old 1")
	first := last()
	if first == nil || !first.Background || !first.Installed || first.Gain <= 0 || first.Error != "" ||
		first.Seconds == 0 {
		t.Fatalf("got %+v, want a bank that was installed in the background", first)
	}
	if j, err := p.newcomersJoint(); err != nil || j == nil {
		t.Errorf("got %v, %v, want axes for new profiles", j, err)
	}
	learnThese("learns 1", "learns 3", "learns 3", "learns 4")
	second := last()
	if second.Time.Equal(first.Time) {
		t.Error("three more learned, and there was no second bank")
	}
	learnThese("learns 1", "old 2", "old 2")
	if now := last(); !now.Time.Equal(second.Time) {
		t.Errorf("got %+v after two people, want none yet", now)
	}
	closeClean(t, p)
	p = open(t, p.dir, o)
	if learnThese(); last() != nil {
		t.Errorf("got %+v, want two people counted at Open", last())
	}
	if learnThese("old 3"); last() == nil || last().Error != "" {
		t.Errorf("got %+v, want a bank: two learned before Open, one after", last())
	}
	for _, who := range []string{"learns ", "old 2", q.texts[0]} {
		if strings.Contains(book.b.String(), who) {
			t.Errorf("the log has %q", who)
		}
	}
	if !strings.Contains(book.b.String(), "trained a bank") {
		t.Error("nothing was logged")
	}
}

// TestBankEveryCloses: Close ends the background training, which leaves no trace and is begun anew
// at Open.
func TestBankEveryCloses(t *testing.T) {
	p, q, o, _ := everyThree(t)
	p.learns <- struct{}{} // a Learn that takes its time
	for _, id := range []string{"a", "b", "c"} {
		p.banker.note(p, id)
	}
	began := make(chan error)
	go func() { began <- p.Drain(context.Background()) }()
	<-p.learns
	closeClean(t, p)
	<-began
	if st := p.banker.told(); st != nil && st.Error == "" {
		t.Fatalf("got %+v, want it ended", st)
	}
	p = open(t, p.dir, o)
	if last, err := p.lastBank(); err != nil || !last.IsZero() {
		t.Errorf("got %v, %v, want no bank yet", last, err)
	}
	mustLearn(t, p, "ann", q.person(4), nil)
}

// TestTrainBankGivesWay: a Learn that comes while a bank is trained is done before that ends.
func TestTrainBankGivesWay(t *testing.T) {
	p, q, _, _ := everyThree(t)
	es, done := q.person(6), make(chan error, 1)
	first, during := true, false
	_, err := p.TrainBank(context.Background(), &TrainBankOptions{Progress: func(step, steps int, _ float32) {
		if first {
			first = false
			go func() {
				_, err := p.Learn(context.Background(), "ann", es, nil)
				done <- err
			}()
		}
		time.Sleep(5 * time.Millisecond) // of a longer fit: the Learn has asked for its turn
		during = during || len(done) > 0
	}})
	if err != nil || <-done != nil {
		t.Fatal(err)
	}
	if !during {
		t.Error("the Learn waited for the whole bank")
	}
}

// countedEngine counts the texts that are passed forward.
type countedEngine struct {
	engine.Engine
	texts atomic.Int64
}

func (e *countedEngine) Embed(ctx context.Context, rows engine.Rows, f []*model.Adapter, pooled []float32, taps []int,
	phi []float32) error {
	e.texts.Add(int64(len(rows.Texts)))
	return e.Engine.Embed(ctx, rows, f, pooled, taps, phi)
}

// TestKeptFeatures: TrainBank passes no text forward that Advise, or a TrainBank that was cut off,
// has; Forget and ForgetExample leave nothing of any.
func TestKeptFeatures(t *testing.T) {
	t.Parallel()
	p, q, _, _ := everyThree(t)
	counted := &countedEngine{Engine: p.engine}
	p.engine = counted
	texts := int64(len(q.texts))
	want := func(what string, n int64) {
		t.Helper()
		if got := counted.texts.Swap(0); got != n {
			t.Errorf("%s: got %d texts passed forward, want %d", what, got, n)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := p.TrainBank(ctx, &TrainBankOptions{Progress: func(int, int, float32) { cancel() }}); !errors.Is(err,
		context.Canceled) {
		t.Fatalf("got %v, want it cut off", err)
	}
	want("a TrainBank that is cut off", texts)
	ctx = context.Background()
	advice, err := p.Advise(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	want("an Advise after it", 0)
	rep := mustTrainBank(t, p)
	want("a TrainBank after that", 0)
	if a, b := advice.Population, rep.Population; a.Gain != b.Gain || a.Rank != b.Rank {
		t.Errorf("got %+v, advised was %+v", b, a)
	}
	for what, forget := range map[string]func() error{
		"TrainBank":     func() error { mustTrainBank(t, p); return nil },
		"Forget":        func() error { return p.Forget(ctx, "old 1") },
		"ForgetExample": func() error { return p.ForgetExample(ctx, "old 2", firstText(t, p, "old 2"), nil) },
	} {
		if _, err := p.Advise(ctx, nil); err != nil {
			t.Fatal(err)
		}
		if len(p.kept.phi) == 0 {
			t.Errorf("before %s: nothing is kept", what)
		}
		if err := forget(); err != nil || len(p.kept.phi) != 0 {
			t.Errorf("%s: got %v, φ of %d texts left", what, err, len(p.kept.phi))
		}
	}
	p.kept.room = 10
	p.kept.gather()
	if p.kept.put(1, make([]float32, 8)); len(p.kept.phi) != 0 {
		t.Error("more is kept than there is room for")
	}
}

func firstText(t *testing.T, p *Folder, id string) string {
	t.Helper()
	for e, err := range p.Examples(context.Background(), id) {
		if err != nil {
			t.Fatal(err)
		}
		return e.Text
	}
	t.Fatalf("%s has no examples", id)
	return ""
}

// TestTrainBankHeadMeanwhile: a head with more labels that TrainHead installs while axes are sought
// stays, and so does the bank of then; the next TrainBank has it.
func TestTrainBankHeadMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, _, _, _ := everyThree(t)
	begin, done := true, make(chan error, 1)
	progress := func(int, int, float32) {
		if begin {
			begin = false
			go func() {
				_, err := p.TrainHead(ctx, &TrainHeadOptions{AddLabels: []string{"unsure"}, Force: true})
				done <- err
			}()
			time.Sleep(50 * time.Millisecond) // it has asked for its turn
		}
	}
	if rep, err := p.TrainBank(ctx, &TrainBankOptions{Progress: progress}); !errors.Is(err, ErrConflict) {
		t.Errorf("got %+v, %v, want ErrConflict", rep, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := p.Labels(ctx); err != nil || !slices.Equal(got, append(sides[:2:2], "unsure")) {
		t.Errorf("got the labels %v, %v, want those that TrainHead installed", got, err)
	}
	mustTrainBank(t, p)
}

// TestBankEveryAdapters: where new profiles are masks by an operator's wish, nothing is trained in
// the background.
func TestBankEveryAdapters(t *testing.T) {
	t.Parallel()
	p, q, _, _ := everyThree(t)
	if _, err := p.TrainBank(context.Background(),
		&TrainBankOptions{Edit: func(c *learner.BankConfig) { c.Updates = 0 }}); err != nil {
		t.Fatal(err)
	}
	first := p.banker.told()
	for _, id := range []string{"a", "b", "c"} {
		mustLearn(t, p, id, q.person(6), &LearnOptions{Force: true})
	}
	if err := p.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if now := p.banker.told(); !now.Time.Equal(first.Time) {
		t.Errorf("got %+v after %+v, want no other", now, first)
	}
}

// TestBankOptionsFaults: what TrainBank would refuse, Advise and Open refuse too.
func TestBankOptionsFaults(t *testing.T) {
	p := differing(t, "")
	for name, o := range map[string]*TrainBankOptions{"texts": {KeepTexts: true, ForgetTexts: true},
		"examples": {MaxExamples: -1}, "of one": {MaxPerProfile: -1}} {
		if _, err := p.TrainBank(context.Background(), o); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: TrainBank: got %v, want ErrConfig", name, err)
		}
		if _, err := p.Advise(context.Background(), o); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: Advise: got %v, want ErrConfig", name, err)
		}
		if _, err := (&Options{BankOptions: o}).withDefaults(); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: Open: got %v, want ErrConfig", name, err)
		}
	}
}
