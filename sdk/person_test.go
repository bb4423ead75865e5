package sdk

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xpeft/xpeft/store"
)

// TestRejected: a rejection without the right label takes probability from the label that it names,
// counts in no prior and is measured on by nothing.
func TestRejected(t *testing.T) {
	ctx := context.Background()
	p := create(t, strong(t))
	o := own(30)
	o.Force = true
	mustLearn(t, p, "ann", examples(30, 0), o)
	text := "the archive is offline"
	before := mustPredict(t, p, "ann", text)
	if err := p.Rejected(ctx, "ann", text, before.Label); err != nil {
		t.Fatal(err)
	}
	es := examples(34, 0)[30:]
	rep := mustLearn(t, p, "ann", es, o)
	after := mustPredict(t, p, "ann", text)
	of := func(q Prediction, label string) float32 {
		return q.Probabilities[slices.IndexFunc(q.Probabilities,
			func(x Probability) bool { return x.Label == label })].P
	}
	t.Logf("%q: %.3f before it was rejected, %.3f after", before.Label, of(before, before.Label),
		of(after, before.Label))
	if of(after, before.Label) > 0.5*of(before, before.Label) {
		t.Errorf("got %.3f for the label that was rejected, %.3f before", of(after, before.Label),
			of(before, before.Label))
	}
	if rep.Examples != 35 || rep.After.N != 34 {
		t.Errorf("got %d trained on and %d measured, want 35 and all but the rejection", rep.Examples, rep.After.N)
	}
	bob := Example{Text: "x", Label: labels[0], Rejected: true}
	mustObserve(t, p, "bob", bob)
	if rec, err := p.store.Get("bob"); err != nil || slices.Max(rec.Prior) != 0 {
		t.Errorf("got the prior %v (%v), want none of what was rejected", rec.Prior, err)
	}
	wantError(t, "a rejection without a label", p.Observe(ctx, "bob", Example{Text: "x", Rejected: true}), ErrExample)
	wantError(t, "an unknown label", p.Rejected(ctx, "bob", "x", "nonsense"), ErrUnknownLabel)
	for _, w := range []float64{-1, 1e9, 1e-50, math.NaN()} {
		wantError(t, fmt.Sprint("a weight of ", w),
			p.Observe(ctx, "bob", Example{Text: "x", Label: labels[0], Weight: w}), ErrExample)
	}
}

// TestConfirmed: a confirmation counts less than a correction.
func TestConfirmed(t *testing.T) {
	p := create(t, small(t))
	if err := p.Confirmed(context.Background(), "ann", "x", labels[0]); err != nil {
		t.Fatal(err)
	}
	mustObserve(t, p, "ann", Example{Text: "y", Label: labels[0]})
	var weights []float64
	for e, err := range p.Examples(context.Background(), "ann") {
		if err != nil || e.Learned || e.Time.IsZero() {
			t.Errorf("got %+v, %v", e, err)
		}
		weights = append(weights, cmp.Or(e.Weight, 1))
	}
	if !slices.Equal(weights, []float64{confirmedWeight, 1}) {
		t.Errorf("got weights %v", weights)
	}
}

// TestForgetExample: what was taken back is nowhere in the folder but in the masks that serve until
// the profile has learned anew, and then nowhere.
func TestForgetExample(t *testing.T) {
	ctx := context.Background()
	for name, key := range map[string][]byte{"in the clear": nil,
		"encrypted": bytes.Repeat([]byte{7}, store.MasterKeySize)} {
		t.Run(name, func(t *testing.T) {
			w, c, began := &watched{}, strong(t), Start("")
			c.Options.MasterKey = key
			c.Options.OnLearned = func(id string, rep *Report, err error) {
				if rep != nil && w.count(id) == 0 {
					began = rep.Start
				}
				w.heard(id, rep, err)
			}
			p := create(t, c)
			es := examples(20, 0)
			secret := Example{Text: "my diagnosis is gout", Label: "ignore"}
			force := own(10)
			force.Force = true
			mustLearn(t, p, "ann", es, force)
			mustLearn(t, p, "ann", append(es, secret), force)
			wantError(t, "a text that is not there", p.ForgetExample(ctx, "ann", "nothing", nil), ErrExampleNotFound)
			wantError(t, "nobody", p.ForgetExample(ctx, "bob", "nothing", nil), ErrProfileNotFound)
			old, err := p.store.Get("ann")
			if err != nil {
				t.Fatal(err)
			}
			slot := keySlot(t, p, old.Number)
			if err := p.ForgetExample(ctx, "ann", "  MY diagnosis\tis gout", nil); err != nil {
				t.Fatal(err)
			}
			drain(t, p)
			rec, err := p.store.Get("ann")
			if err != nil {
				t.Fatal(err)
			}
			stored, serr := p.stored("ann")
			history, herr := p.History(ctx, "ann")
			if serr != nil || herr != nil || w.count("ann") != 1 || rec.Examples != 20 || len(stored) != 20 ||
				len(history) != 0 {
				t.Errorf("got %d stored, %d learned from, %d earlier revisions, %d learnings (%v, %v), want 20, "+
					"20, none and 1", len(stored), rec.Examples, len(history), w.count("ann"), serr, herr)
			}
			if began == StartProfile || began == "" {
				t.Errorf("it was learned from %q on, want from where a new profile begins", began)
			}
			if keys, _ := os.ReadFile(store.KeysPath(filepath.Join(p.dir, "xpeft.db"))); key != nil &&
				bytes.Contains(keys, slot) {
				t.Error("the key that the text was written under is still there")
			}
			if person, err := p.store.Person("ann"); err != nil || person.Anew || person.Waiting != 0 {
				t.Errorf("got %+v, %v, want nothing due", person, err)
			}
			for _, e := range stored { // to the last one
				if err := p.ForgetExample(ctx, "ann", e.Text, nil); err != nil {
					t.Fatal(err)
				}
			}
			drain(t, p)
			if rec, err := p.store.Get("ann"); err != nil || learned(rec) || w.errs[len(w.errs)-1] != nil {
				t.Errorf("got %+v (%v, %v), want a profile that has learned nothing", rec, err, w.errs)
			}
			if _, err := p.Compact(ctx); err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(filepath.Join(p.dir, "xpeft.db")); err != nil ||
				bytes.Contains(data, []byte("gout")) {
				t.Errorf("the text is in the file (%v)", err)
			}
		})
	}
}

// keySlot is the bytes that hold a profile's key, if there are keys.
func keySlot(t *testing.T, p *Folder, number uint32) []byte {
	t.Helper()
	keys, err := os.ReadFile(store.KeysPath(filepath.Join(p.dir, "xpeft.db")))
	if err != nil {
		return nil
	}
	const header, size = 128, 64
	return keys[header+size*int(number):][:size]
}

// TestDueAtOpen: what was due when the process ended is learned after Open, without anything new.
func TestDueAtOpen(t *testing.T) {
	c, hold := small(t), make(chan struct{})
	c.Options.OnLearned = func(string, *Report, error) { <-hold }
	p := create(t, c)
	es := examples(60, 0)
	mustObserve(t, p, "first", es[:leastObserved]...) // its OnLearned keeps the others waiting
	for _, id := range []string{"ann", "bob"} {
		mustObserve(t, p, id, es[:leastObserved]...)
	}
	mustObserve(t, p, "few", es[:leastObserved-1]...)
	dir := p.dir
	time.AfterFunc(50*time.Millisecond, func() { close(hold) })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	p = open(t, dir, &Options{OnLearned: w.heard, Threads: 1})
	drain(t, p)
	for id, want := range map[string]int{"ann": leastObserved, "bob": leastObserved, "few": 0} {
		if info, err := p.Profile(context.Background(), id); err != nil || info.Examples != want ||
			info.Waiting != leastObserved-1-want &&
				want == 0 {
			t.Errorf("%s: got %d learned, %d that wait (%v), want %d", id, info.Examples, info.Waiting, err, want)
		}
	}
}

// TestDueAtImport: what waited where a bundle comes from is learned here.
func TestDueAtImport(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Options.ObserveEvery = 100
	from, bundle := create(t, c), bytes.Buffer{}
	to, w := observing(t)
	mustLearn(t, from, "ann", examples(30, 0), forced())
	mustObserve(t, from, "ann", examples(42, 0)[30:]...)
	if _, err := from.Export(ctx, &bundle, &ExportOptions{Examples: true, State: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := to.Import(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	drain(t, to)
	for p, want := range map[*Folder]int{from: 12, to: 0} {
		if info, err := p.Profile(ctx, "ann"); err != nil || info.Waiting != want {
			t.Errorf("got %d that wait (%v), want %d", info.Waiting, err, want)
		}
	}
	if w.count("ann") != 1 || w.errs[0] != nil {
		t.Errorf("learned %d times (%v), want once", w.count("ann"), w.errs)
	}
}

// TestLearnCounts: an explicit Learn takes what waits with it, and what it was given makes nobody
// due.
func TestLearnCounts(t *testing.T) {
	p, w := observing(t)
	es := examples(60, 0)
	mustObserve(t, p, "ann", es[:leastObserved-1]...)
	mustLearn(t, p, "ann", es[10:30], forced())
	info, err := p.Profile(context.Background(), "ann")
	if err != nil || info.Waiting != 0 || info.Examples != leastObserved-1+20 {
		t.Errorf("got %d learned and %d that wait (%v), want %d and 0", info.Examples, info.Waiting, err,
			leastObserved-1+20)
	}
	mustObserve(t, p, "ann", es[40])
	drain(t, p)
	if w.count("ann") != 0 {
		t.Errorf("one new example after a Learn was learned %d times", w.count("ann"))
	}
	quick := quick() // and what the gate refuses was seen, too
	quick.Config.Epochs = 1
	mustLearn(t, p, "ann", examples(30, 1)[20:], quick)
	if info, err = p.Profile(context.Background(), "ann"); err != nil || info.Waiting != 0 {
		t.Errorf("got %d that wait (%v), want 0", info.Waiting, err)
	}
}

func TestPersonData(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "ann", examples(12, 0), forced())
	mustLearn(t, p, "ann", examples(13, 0), forced())
	mustObserve(t, p, "ann", Example{Text: "not this", Label: "later", Rejected: true},
		Example{Text: "a new one", Label: "urgent", Weight: 2})
	if err := p.SetPrivate(ctx, "ann", true); err != nil {
		t.Fatal(err)
	}
	d, err := p.PersonData(ctx, "ann")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got["examples"].([]any)); n != 15 ||
		!strings.Contains(string(text), `"text":"not this","label":"later","rejected":true`) ||
		!strings.Contains(string(text), `"weight":2`) {
		t.Errorf("got %d examples in %.300s…", n, text)
	}
	if n := len(got["revisions"].([]any)); n != 2 || got["private"] != true || got["waiting"] != 2.0 ||
		got["id"] != "ann" || len(d.State) == 0 {
		t.Errorf("got %d revisions, private %v, %v waiting, %d bytes of state", n, got["private"], got["waiting"],
			len(d.State))
	}
	rec, err := store.DecodeProfile(d.Revisions[0].Record)
	if err != nil || rec.ID != "ann" || len(d.Revisions[0].Masks) != 4 || len(d.Revisions[0].Masks[0].Adapters) != 4 {
		t.Errorf("got %+v, %v", d.Revisions[0], err)
	}
	_, err = p.PersonData(ctx, "bob")
	wantError(t, "nobody", err, ErrProfileNotFound)
}

// TestPrivate: a private profile teaches neither head nor bank; Import and Rollback leave it so.
func TestPrivate(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Options.Private = []string{"clinic/"}
	p := create(t, c)
	o := forced()
	for _, id := range []string{"ann", "clinic/bob", "eve"} {
		mustLearn(t, p, id, examples(20, 0), o)
	}
	if err := p.SetPrivate(ctx, "eve", true); err != nil {
		t.Fatal(err)
	}
	mustLearn(t, p, "eve", examples(24, 0)[20:], o)
	rep, err := p.TrainHead(ctx, &TrainHeadOptions{Force: true, KeepBank: true, Config: headOptions().Config})
	if err != nil || rep.Profiles != 1 {
		t.Errorf("TrainHead: got %+v (%v), want ann's examples alone", rep, err)
	}
	if job, _, err := p.bankJob(ctx, teachers{most: 100}); err == nil {
		t.Errorf("TrainBank: got %d profiles, want too few", len(job.Profiles))
	}
	if _, err := p.Rollback(ctx, "eve", nil); err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{IDs: []string{"eve"}}); err != nil { // without examples
		t.Fatal(err)
	}
	if _, err := p.Import(ctx, &bundle, &ImportOptions{Prefix: "new/"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"eve", "new/eve"} {
		if info, err := p.Profile(ctx, id); err != nil || !info.Private {
			t.Errorf("%s: got %+v, %v, want it private", id, info, err)
		}
	}
	wantError(t, "nobody", p.SetPrivate(ctx, "nobody", true), ErrProfileNotFound)
	c = small(t)
	c.Options.Private = []string{""}
	_, err = Create(ctx, filepath.Join(t.TempDir(), "store"), c)
	wantError(t, "an empty prefix", err, ErrConfig)
}

// TestPrequential: answers are judged before anything has learned the example.
func TestPrequential(t *testing.T) {
	p := create(t, strong(t))
	o := own(40)
	o.Force = true
	first := mustLearn(t, p, "ann", examples(30, 0), o)
	if first.Prequential != (Prequential{}) {
		t.Errorf("got %+v, though nothing answered before", first.Prequential)
	}
	sure := mustLearn(t, p, "ann", examples(42, 0)[30:], o) // as before: an own head that knows them answers
	turned := mustLearn(t, p, "ann", examples(54, 1)[42:], o)
	t.Logf("of the same meaning: %+v, then of another: %+v", sure.Prequential, turned.Prequential)
	if q := sure.Prequential; q.N != 12 || q.Profile < 0.7 || trainsAll(p) && q.Profile <= q.Base {
		t.Errorf("got %+v, want 12 examples, most right", q)
	}
	if q := turned.Prequential; q.N <= 22 || q.N >= 23 || q.Profile > 0.6 {
		t.Errorf("got %+v, want 12 and nearly 11 examples, half of them wrong", q)
	}
	again := mustLearn(t, p, "ann", examples(54, 1)[42:], o)
	if again.Prequential != turned.Prequential {
		t.Errorf("got %+v after the same examples again, want %+v: they were known", again.Prequential,
			turned.Prequential)
	}
	st, err := p.Stats(context.Background())
	if err != nil || st.Prequential.N < 23.8 {
		t.Errorf("got %+v of the folder (%v)", st.Prequential, err)
	}
	info, err := p.Profile(context.Background(), "ann")
	if err != nil || info.Prequential != turned.Prequential {
		t.Errorf("got %+v of the profile (%v)", info.Prequential, err)
	}
}

// TestPrequentialPrior: until a profile has learned it is its prior that answers, as it was before
// each example: before the first it knew of nothing.
func TestPrequentialPrior(t *testing.T) {
	p, w := observing(t)
	base := mustBatch(t, p, []Request{{Base: true, Text: "a 0"}})[0].Label
	other := labels[(slices.Index(labels, base)+1)%len(labels)]
	for i := range leastObserved {
		mustObserve(t, p, "ann", Example{Text: fmt.Sprint("a ", i), Label: other})
	}
	drain(t, p)
	info, err := p.Profile(context.Background(), "ann")
	q := info.Prequential
	if err != nil || w.count("ann") != 1 || q.N != leastObserved || q.Profile != q.Prior || q.Prior <= q.Base ||
		q.Prior > 1-1./leastObserved {
		t.Errorf("got %+v, %v, want the prior right from the second example on at the earliest", q, err)
	}
}

// TestPendingLabels: what people have taken up for themselves is offered, named from five people
// on, and joins when it is told to.
func TestPendingLabels(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	o := own(2)
	o.AddLabels = true
	for i := range 6 {
		es := append(examples(6, 0), Example{Text: fmt.Sprint("the invoice ", i), Label: "billing"},
			Example{Text: fmt.Sprint("a bill ", i), Label: "billing"})
		if i < 2 {
			es = append(es, Example{Text: "who", Label: "a secret"})
		}
		mustLearn(t, p, fmt.Sprint("user ", i), es, o)
	}
	mustLearn(t, p, "shy", []Example{{Text: "x", Label: "billing"}, {Text: "y", Label: "urgent"}}, o)
	if err := p.SetPrivate(ctx, "shy", true); err != nil {
		t.Fatal(err)
	}
	got, err := p.PendingLabels(ctx)
	if want := []PendingLabel{{"billing", 6, 12}, {"", 2, 2}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	if before, err := p.Labels(ctx); err != nil || len(before) != 3 {
		t.Errorf("got %q: a label joined by itself (%v)", before, err)
	}
	rep, err := p.TrainHead(ctx, &TrainHeadOptions{AddLabels: []string{" billing"}, Config: headOptions().Config,
		Force: true})
	if err != nil || rep.Profiles != 6 || !rep.Installed {
		t.Fatalf("got %+v, %v", rep, err)
	}
	if after, err := p.Labels(ctx); err != nil || !slices.Equal(after, append(slices.Clone(labels), "billing")) {
		t.Errorf("got labels %q (%v)", after, err)
	}
	if got, err = p.PendingLabels(ctx); err != nil || len(got) != 1 || got[0].Label != "" {
		t.Errorf("got %+v (%v), want the secret one alone, without its name", got, err)
	}
	mustObserve(t, p, "newcomer", Example{Text: "the invoice is wrong", Label: "billing"})
	_, err = p.TrainHead(ctx, &TrainHeadOptions{AddLabels: []string{"\x01"}})
	wantError(t, "a bad label", err, ErrConfig)
}
