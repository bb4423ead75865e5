package sdk

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// TestTrainHeadBankMeanwhile: a head that was trained while a TrainBank installed another, two
// trainings at once, does not take its place unseen.
func TestTrainHeadBankMeanwhile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := small(t)
	c.Masks, c.Labels, c.Options.ObserveEvery, c.Options.Learns = false, sides, 1<<20, 2
	p := create(t, c)
	plantedIn(t, p, 40, 1, 1).observed(t, p, 30, 25)
	begun := false
	o, err := (&TrainHeadOptions{Force: true, Progress: func(int, int, float32) {
		if !begun {
			begun = true
			mustTrainBank(t, p)
		}
	}}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if rep, err := p.trainNewHead(ctx, o); !errors.Is(err, ErrConflict) || !begun {
		t.Errorf("got %+v, %v, want ErrConflict", rep, err)
	}
	if j, err := p.newcomersJoint(); err != nil || j == nil {
		t.Errorf("got %v, %v, want the axes that were installed meanwhile", j, err)
	}
	if rep, err := p.trainNewHead(ctx, o); err != nil || !rep.Installed {
		t.Errorf("again: got %+v, %v, want it installed", rep, err)
	}
}

// TestGiveWayEnds: a training whose ctx is done does not wait for those whom it let go first, and
// does not end their turn with its own.
func TestGiveWayEnds(t *testing.T) {
	p := create(t, small(t))
	p.learns = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ctx, done, err := p.turn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	other := make(chan func())
	go func() {
		_, done, err := p.turn(context.Background())
		if err != nil {
			t.Error(err)
		}
		other <- done
	}()
	cancel()
	ended := make(chan struct{})
	var otherDone func()
	go func() {
		for otherDone == nil {
			p.giveWay(ctx)
			select {
			case otherDone = <-other:
			case <-time.After(time.Millisecond):
			}
		}
		done()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("it waits")
	}
	if len(p.learns) != 1 {
		t.Fatalf("got %d turns taken, want the other's", len(p.learns))
	}
	if otherDone(); len(p.learns) != 0 {
		t.Errorf("got %d turns taken at the end", len(p.learns))
	}
}

// TestKeptTextsLeft: texts of axes go with them: when a bank of adapters is made, and at Open after
// a TrainBank that ended before it kept or removed them. Those of the newest axes stay.
func TestKeptTextsLeft(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, o := differingFew(t, nil)
	keep := func() {
		t.Helper()
		if rep, err := p.TrainBank(ctx, &TrainBankOptions{KeepTexts: true}); err != nil || rep.KeptTexts == 0 {
			t.Fatalf("got %+v, %v, want texts kept", rep, err)
		}
	}
	reopened := func() error {
		closeClean(t, p)
		p = open(t, p.dir, o)
		_, err := p.store.GetMeta(metaTexts)
		return err
	}
	keep()
	if err := reopened(); err != nil {
		t.Errorf("of the newest axes: got %v, want them kept", err)
	}
	joinWith(t, p, func(*population.Model, []uint64) {})
	if err := reopened(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of other axes: got %v, want them removed at Open", err)
	}
	keep()
	if _, err := p.TrainBank(ctx, &TrainBankOptions{Edit: func(c *learner.BankConfig) { c.Updates = 0 }}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.GetMeta(metaTexts); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after a bank of adapters: got %v, want them removed", err)
	}
}

// TestKeptTextsRejected: the texts that are kept are of the people who taught the axes, though
// others come before them where rejections count.
func TestKeptTextsRejected(t *testing.T) {
	ctx := context.Background()
	p := differing(t, "")
	q := plantedIn(t, p, 40, 1, 1)
	q.observed(t, p, 30, 25)
	for u := range 30 {
		es := records(q.person(40)[:12])
		for i := range es {
			es[i].Text, es[i].Rejected = "not "+es[i].Text, true
		}
		if err := p.store.Beside(ctx, fmt.Sprint("old ", u), store.Write{Append: es}); err != nil {
			t.Fatal(err)
		}
	}
	h, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	from := teachers{most: 100, each: 20}
	people, keys, err := p.population(ctx, h, from)
	if err != nil {
		t.Fatal(err)
	}
	known, answers := 0, make([]int, len(keys))
	for _, a := range people.People {
		for _, text := range a.Text {
			if answers[text]++; answers[text] == population.FewestAnswers {
				known++
			}
		}
	}
	if texts, err := p.gatherTexts(ctx, h, from); err != nil || len(texts) != known {
		t.Errorf("got %d texts, %v, want the %d that three of the %d people labelled", len(texts), err, known,
			len(people.People))
	}
}
