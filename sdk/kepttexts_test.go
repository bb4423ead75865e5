package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// TestKeptTexts: what several people labelled is kept if that is asked for, and asked about; what
// fewer did is not, nor are pairs and what private people wrote. Nothing of it is in the clear in
// an encrypted folder; it travels with a backup, and the next TrainBank without it removes it.
func TestKeptTexts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, key := range map[string][]byte{"clear": nil, "encrypted": bytes.Repeat([]byte{7}, store.MasterKeySize)} {
		t.Run(name, func(t *testing.T) {
			c := small(t)
			c.Masks, c.Labels, c.Options.ObserveEvery, c.Options.MasterKey = false, sides, 1<<20, key
			p := create(t, c)
			q := plantedIn(t, p, 60, 1, 1)
			q.observed(t, p, 40, 30)
			toldOthers(t, p)
			if _, err := p.Ask(ctx, "new", &AskOptions{N: 3}); !errors.Is(err, ErrNoPopulation) {
				t.Errorf("before there are axes: got %v, want ErrNoPopulation", err)
			}
			rep, err := p.TrainBank(ctx, &TrainBankOptions{KeepTexts: true})
			if err != nil || !rep.Installed || rep.KeptTexts != 61 {
				t.Fatalf("got %+v, %v, want 61 texts kept", rep, err)
			}
			all, err := p.Ask(ctx, "new", &AskOptions{N: 1000})
			if err != nil || len(all) != 61 || !slices.Equal(all[0].Labels, sides) {
				t.Fatalf("got %d questions, %v, want the 60 texts and the one of three people", len(all), err)
			}
			for _, question := range all {
				if !slices.Contains(q.texts, question.Text) && question.Text != "the server of three" {
					t.Errorf("asked %q", question.Text)
				}
			}
			if again, err := p.Ask(ctx, "new", &AskOptions{N: 1000}); err != nil ||
				fmt.Sprint(again) != fmt.Sprint(all) {
				t.Errorf("asked again: got %v, %v, want the same", again, err)
			}
			testKept(t, p, c.Options, all)
			if key != nil {
				return
			}
			if rep, err = p.TrainBank(ctx, nil); err != nil || !rep.Installed || rep.KeptTexts != 0 {
				t.Fatalf("got %+v, %v", rep, err)
			}
			if got, err := p.Ask(ctx, "new", &AskOptions{N: 3}); !errors.Is(err, ErrNoPopulation) || got != nil ||
				p.questions.Load() != nil {
				t.Errorf("removed: got %v, %v, want ErrNoPopulation", got, err)
			}
		})
	}
}

// toldOthers are texts of three, of two, of pairs, and of private people.
func toldOthers(t *testing.T, p *Folder) {
	t.Helper()
	ctx := context.Background()
	for u := range 4 {
		id := fmt.Sprint("old ", u)
		es := []Example{{Text: "the draft", Pair: "the review", Label: sides[0]},
			{Text: "the secret of a private person", Label: sides[0]}}
		if u < 2 {
			es = append(es, Example{Text: "the phone of two", Label: sides[1]})
		}
		if u < 3 {
			es = append(es, Example{Text: "the server of three", Label: sides[1]})
		} else {
			es = append(es, Example{Text: "the phone of two", Label: sides[1], Rejected: true})
		}
		if u > 1 {
			es[1].Text = "the secret of another person"
		}
		if err := p.store.Beside(ctx, id, store.Write{Append: records(es)}); err != nil {
			t.Fatal(err)
		}
		private := fmt.Sprint("private ", u)
		if err := p.Observe(ctx, private,
			Example{Text: "the secret of a private person", Label: sides[0]}); err != nil {
			t.Fatal(err)
		}
		if err := p.SetPrivate(ctx, private, true); err != nil {
			t.Fatal(err)
		}
	}
}

// testKept looks at answers, at files, and at a backup of a folder that keeps texts.
func testKept(t *testing.T, p *Folder, o *Options, all []Question) {
	t.Helper()
	ctx := context.Background()
	first := all[0].Text
	if next, err := p.Ask(ctx, "new", &AskOptions{N: 1000, Skipped: []string{" " + first, "another"}}); err != nil ||
		len(next) != len(all)-1 || slices.ContainsFunc(next, func(q Question) bool { return q.Text == first }) {
		t.Errorf("skipped: got %d questions, %v, want all but %q", len(next), err, first)
	}
	mustLearn(t, p, "new", []Example{{Text: all[1].Text, Label: sides[0]}}, nil)
	if next, err := p.Ask(ctx, "new", &AskOptions{N: 1000}); err != nil || len(next) != len(all)-1 ||
		slices.ContainsFunc(next, func(q Question) bool { return q.Text == all[1].Text }) {
		t.Errorf("answered: got %d questions, %v, want all but %q", len(next), err, all[1].Text)
	}
	if names := holds(t, p.dir, []byte(first)); (names == nil) != (o.MasterKey != nil) {
		t.Errorf("%q is in %v", first, names)
	}
	var full bytes.Buffer
	if _, err := p.Backup(ctx, &full, nil); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir() + "/restored"
	if _, err := Restore(ctx, to, nil, &full); err != nil {
		t.Fatal(err)
	}
	back := open(t, to, o)
	if got, err := back.Ask(ctx, "somebody", &AskOptions{N: 1000}); err != nil || fmt.Sprint(got) != fmt.Sprint(all) {
		t.Errorf("restored: got %d questions, %v, want all %d", len(got), err, len(all))
	}
	closeClean(t, back)
}

// TestDamagedTexts: kept texts that are none are an error, and those of other axes are nobody's.
func TestDamagedTexts(t *testing.T) {
	ctx := context.Background()
	p, _ := joined(t)
	for stored, want := range map[string]error{
		"": ErrCorrupt, "{": ErrCorrupt, `{"bank":"00","texts":["a"]}`: ErrNoPopulation,
	} {
		if err := p.store.PutMeta(ctx, metaTexts, []byte(stored)); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Ask(ctx, "new", &AskOptions{N: 3}); !errors.Is(err, want) || got != nil {
			t.Errorf("%q: got %v, %v, want %v", stored, got, err, want)
		}
	}
}

// TestKeptTextsOfOthers: texts that axes kept are not asked about along those that took their
// place, whose rows are others.
func TestKeptTextsOfOthers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := differing(t, "")
	plantedIn(t, p, 60, 1, 1).observed(t, p, 40, 30)
	if rep, err := p.TrainBank(ctx, &TrainBankOptions{KeepTexts: true}); err != nil || !rep.Installed {
		t.Fatalf("got %+v, %v, want axes", rep, err)
	}
	if got, err := p.Ask(ctx, "new", &AskOptions{N: 3}); err != nil || len(got) != 3 {
		t.Fatalf("got %v, %v, want three questions", got, err)
	}
	joinWith(t, p, func(*population.Model, []uint64) {})
	if got, err := p.Ask(ctx, "new", &AskOptions{N: 3}); !errors.Is(err, ErrNoPopulation) {
		t.Errorf("along other axes: got %v, %v, want ErrNoPopulation", got, err)
	}
}

// endedEngine ends a context after a pass.
type endedEngine struct {
	countedEngine
	end context.CancelFunc
}

func (e *endedEngine) Embed(ctx context.Context, rows engine.Rows, f []*model.Adapter, pooled []float32, taps []int,
	phi []float32) error {
	err := e.Engine.Embed(ctx, rows, f, pooled, taps, phi)
	if err == nil {
		e.texts.Add(int64(len(rows.Texts)))
	}
	e.end()
	return err
}

// TestKeptTextsGoOn: an Ask whose time is over does not lose the passes that it made, or a caller
// who waits little would never get an answer.
func TestKeptTextsGoOn(t *testing.T) {
	p, _ := joined(t)
	j, err := p.newcomersJoint()
	if err != nil || j == nil {
		t.Fatal(j, err)
	}
	kept := keptTexts{Bank: j.digest.String()}
	for i := range askedAtOnce + 44 {
		kept.Texts = append(kept.Texts, fmt.Sprint("server ", i))
	}
	data, err := json.Marshal(kept)
	if err == nil {
		err = p.store.PutMeta(context.Background(), metaTexts, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	e := &endedEngine{countedEngine{Engine: p.engine}, end}
	p.engine = e
	if got, err := p.Ask(ctx, "new", &AskOptions{N: 3}); !errors.Is(err, context.Canceled) ||
		e.texts.Swap(0) != askedAtOnce {
		t.Fatalf("got %v, %v, want it ended after %d texts", got, err, askedAtOnce)
	}
	for _, passed := range []int64{44, 0} {
		if got, err := p.Ask(context.Background(), "new", &AskOptions{N: 1000}); err != nil ||
			len(got) != len(kept.Texts) {
			t.Errorf("got %d questions, %v, want %d", len(got), err, len(kept.Texts))
		}
		if n := e.texts.Swap(0); n != passed {
			t.Errorf("got %d texts passed forward, want %d", n, passed)
		}
	}
}
