package sdk

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/xpeft/xpeft/store"
)

// TestTaughtInputs: what was corrected is answered so, each time; the model alone forgets some of
// it.
func TestTaughtInputs(t *testing.T) {
	teach, ask := input(t, "a04_teach.jsonl"), input(t, "a04_ask.jsonl")
	p := real(t, Config{Labels: labels})
	mustLearn(t, p, "ines", teach, nil)
	alone := rightOf(t, p, "ines", ask)
	taught := 0
	for _, e := range ask {
		if out := mustPredict(t, p, "ines", e.Text); out.Label == e.Label && out.Source == SourceTaught {
			taught++
		}
	}
	t.Logf("%d of %d are answered as taught, %d by the model alone", taught, len(ask), alone)
	if taught != len(ask) || len(ask) != 12 {
		t.Errorf("got %d of %d, want all 12", taught, len(ask))
	}
}

// corrected is a text that no model would call so.
var corrected = Example{Text: "the server is down", Label: "ignore"}

// teach makes a profile that has learned, and one correction that waits.
func teach(t testing.TB, p *Folder, id string) {
	t.Helper()
	mustLearn(t, p, id, examples(12, 0), forced())
	mustObserve(t, p, id, corrected)
}

// wantTaught asks for a text and compares who answers; an empty label is the model.
func wantTaught(t testing.TB, what string, p *Folder, id, text, label string, o ...PredictOptions) {
	t.Helper()
	got := mustPredict(t, p, id, text, o...)
	untaught := append(o, PredictOptions{})[0]
	untaught.NoTaught = true
	model := mustPredict(t, p, id, text, untaught)
	want := model
	if label != "" {
		want.Label, want.Source = label, SourceTaught
	}
	if d := cmp.Diff(want, got); d != "" || model.Source != SourceProfile || model.Label != model.Model {
		t.Errorf("%s: %q (-want +got):\n%s", what, text, d)
	}
}

// TestTaught: a stored text is answered with its label, however it is written, by its own profile,
// and beside that nothing changes.
func TestTaught(t *testing.T) {
	for name, key := range map[string][]byte{"in the clear": nil,
		"encrypted": bytes.Repeat([]byte{7}, store.MasterKeySize)} {
		t.Run(name, func(t *testing.T) {
			c := small(t)
			c.Options.MasterKey = key
			p := create(t, c)
			teach(t, p, "ann")
			mustLearn(t, p, "bob", examples(12, 1), forced())
			wantTaught(t, "as it was", p, "ann", corrected.Text, "ignore")
			wantTaught(t, "in another case, with other spaces", p, "ann", " THE  server\tis down ", "ignore")
			wantTaught(t, "learned", p, "ann", examples(1, 0)[0].Text, "urgent")
			wantTaught(t, "another text", p, "ann", "the server is up", "")
			wantTaught(t, "a pair", p, "ann", corrected.Text, "", PredictOptions{Pair: "or not"})
			wantTaught(t, "another's", p, "bob", corrected.Text, "")
			if base := mustBatch(t, p, []Request{{Base: true, Text: corrected.Text}})[0]; base.Source != SourceBase ||
				base.Model != base.Label || base.Model == "" {
				t.Errorf("the base: got %+v", base)
			}
			mustObserve(t, p, "ann", Example{Text: "A", Pair: "B", Label: "later"})
			wantTaught(t, "a pair", p, "ann", "a", "later", PredictOptions{Pair: "b"})
			wantTaught(t, "half of a pair", p, "ann", "a", "")

			dir := p.dir
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			for _, o := range []Options{{ReadOnly: true}, {NoTaught: true}, {}} {
				o.MasterKey, o.Threads = key, 1
				p := open(t, dir, &o)
				wantTaught(t, fmt.Sprintf("opened again, off %t", o.NoTaught), p, "ann", corrected.Text,
					map[bool]string{false: "ignore"}[o.NoTaught])
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestTaughtGone: each way in which an example goes or changes shows in the next answer.
func TestTaughtGone(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		do    func(p *Folder) error
		want  string
		limit int
	}{
		"another label": {do: func(p *Folder) error {
			return p.Observe(ctx, "ann",
				Example{Text: corrected.Text, Label: "later"})
		}, want: "later"},
		"rejected": {do: func(p *Folder) error { return p.Rejected(ctx, "ann", corrected.Text, "ignore") }},
		"another label rejected": {do: func(p *Folder) error { return p.Rejected(ctx, "ann", corrected.Text, "later") },
			want: "ignore"},
		"confirmed": {do: func(p *Folder) error {
			return p.Confirmed(ctx, "ann", corrected.Text,
				"urgent")
		}, want: "urgent"},
		"an example is forgotten": {do: func(p *Folder) error { return p.ForgetExample(ctx, "ann", corrected.Text, nil) }},
		"rolled back": {do: func(p *Folder) error { _, err := p.Rollback(ctx, "ann", nil); return err },
			want: "ignore"},
		"dropped": {do: func(p *Folder) error {
			o := forced()
			o.DropExamples = true
			_, err := p.Learn(ctx, "ann", examples(6, 1), o)
			return err
		}},
		"evicted": {limit: 20, want: "", do: func(p *Folder) error {
			_, err := p.Learn(ctx, "ann", examples(60, 0)[12:], forced())
			return err
		}},
		"forgotten, and one who comes after": {want: "later", do: func(p *Folder) error {
			if err := p.Forget(ctx, "ann"); err != nil {
				return err
			}
			if len(p.taught.byID) != 0 {
				t.Error("keys of somebody who was forgotten are kept")
			}
			_, err := p.Predict(ctx, "ann", corrected.Text, nil)
			wantError(t, "forgotten", err, ErrProfileNotFound)
			_, err = p.Learn(ctx, "ann", append(examples(12, 0), Example{Text: corrected.Text, Label: "later"}),
				forced())
			return err
		}},
		"exported without examples": {do: func(p *Folder) error { return throughBundle(p, ExportOptions{}) }},
		"exported with examples": {do: func(p *Folder) error {
			return throughBundle(p,
				ExportOptions{Examples: true})
		}, want: "ignore"},
		"compacted": {do: func(p *Folder) error { _, err := p.Compact(ctx); return err }, want: "ignore"},
	} {
		for in, key := range map[string][]byte{"in the clear": nil,
			"encrypted": bytes.Repeat([]byte{7}, store.MasterKeySize)} {
			t.Run(name+", "+in, func(t *testing.T) {
				cfg := small(t)
				cfg.Options.MasterKey, cfg.Options.Limits.Examples = key, c.limit
				p := create(t, cfg)
				mustLearn(t, p, "ann", examples(6, 1), forced())
				teach(t, p, "ann")
				wantTaught(t, "before", p, "ann", corrected.Text, "ignore")
				if err := c.do(p); err != nil {
					t.Fatal(err)
				}
				wantTaught(t, "after", p, "ann", corrected.Text, c.want)
			})
		}
	}
}

// throughBundle exports, forgets and imports everybody.
func throughBundle(p *Folder, o ExportOptions) error {
	ctx := context.Background()
	var b bytes.Buffer
	if _, err := p.Export(ctx, &b, &o); err != nil {
		return err
	}
	if err := p.Forget(ctx, "ann"); err != nil {
		return err
	}
	_, err := p.Import(ctx, &b, nil)
	return err
}

// TestTaughtAge: an example over its age is gone without any write.
func TestTaughtAge(t *testing.T) {
	c := small(t)
	c.Options.ExampleAge = 3 * time.Second
	p := create(t, c)
	mustLearn(t, p, "ann", examples(6, 0), forced())
	mustObserve(t, p, "ann", corrected)
	began := time.Now()
	wantTaught(t, "young", p, "ann", corrected.Text, "ignore")
	time.Sleep(c.Options.ExampleAge - time.Since(began) + 50*time.Millisecond)
	wantTaught(t, "old", p, "ann", corrected.Text, "")
}

// TestTaughtHeads: a label stays taught that the profile's head does not have; a number is the
// model's.
func TestTaughtHeads(t *testing.T) {
	p := create(t, small(t))
	teach(t, p, "ann")
	o := own(3)
	o.Labels, o.Force = []string{"yes", "no"}, true
	mustLearn(t, p, "ann", []Example{{Text: "a", Label: "yes"}, {Text: "b", Label: "no"}}, o)
	wantTaught(t, "other labels", p, "ann", corrected.Text, "ignore")
	numbered := own(3)
	numbered.Head = NumberHead
	mustLearn(t, p, "nina", numbers(10), numbered)
	text := numbers(1)[0].Text
	if got, want := mustPredict(t, p, "nina", text),
		mustPredict(t, p, "nina", text, PredictOptions{NoTaught: true}); !cmp.Equal(got, want) || got.Source != SourceProfile ||
		got.Model != "" || got.Margin != 0 {
		t.Errorf("numbers: got %+v, want %+v", got, want)
	}
	back := own(3)
	back.Labels, back.Force = []string{"yes", "no"}, true
	mustLearn(t, p, "nina", []Example{{Text: "a", Label: "yes"}, {Text: "b", Label: "no"}}, back)
	wantTaught(t, "a number, with labels now", p, "nina", text, "")
}

// TestTaughtBatch: in one batch each of many profiles has its own answer to the same text, and each
// request its own say.
func TestTaughtBatch(t *testing.T) {
	p := create(t, small(t))
	var reqs []Request
	for i := range 30 {
		id := fmt.Sprint("user ", i)
		mustObserve(t, p, id, Example{Text: "the same text", Label: labels[i%3]})
		reqs = append(reqs, Request{Profile: id, Text: "The same text"},
			Request{Profile: id, Text: "the same text", NoTaught: true}, Request{Profile: id, Text: "another"})
	}
	for i, out := range mustBatch(t, p, append(reqs, reqs...)) {
		want := SourceProfile
		if i%3 == 0 {
			want = SourceTaught
		}
		if out.Source != want || out.Revision == 0 || out.Model == "" || want == SourceTaught &&
			out.Label != labels[i/3%30%3] || want == SourceProfile && out.Label != out.Model {
			t.Errorf("row %d: got %+v, want %s", i, out, want)
		}
	}
}

// TestTaughtConcurrent: a text has one label or the other while it is told again and again, and the
// new one when Observe has returned.
func TestTaughtConcurrent(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Options.ObserveEvery = 1 << 20
	p := create(t, c)
	mustLearn(t, p, "ann", examples(6, 0), forced())
	mustObserve(t, p, "ann", corrected)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				out, err := p.Predict(ctx, "ann", corrected.Text, nil)
				if err != nil || out.Source != SourceTaught || !slices.Contains(labels, out.Label) {
					t.Errorf("got %+v, %v", out, err)
					return
				}
			}
		}()
	}
	for i := range 30 {
		label := labels[i%3]
		mustObserve(t, p, "ann", Example{Text: corrected.Text, Label: label})
		if out := mustPredict(t, p, "ann", corrected.Text); out.Label != label || out.Source != SourceTaught {
			t.Errorf("told %d: got %q, %s, want %q", i, out.Label, out.Source, label)
		}
	}
	close(done)
	wg.Wait()
}

// TestTaughtIsNotScored: whether stored texts are answered as taught changes nothing that is
// measured or learned.
func TestTaughtIsNotScored(t *testing.T) {
	lives := func(off bool) (reports []Report) {
		c := small(t)
		c.Options.NoTaught = off
		p := create(t, c)
		for _, es := range [][]Example{examples(20, 0), examples(26, 1), examples(30, 0)[24:]} {
			reports = append(reports, *mustLearn(t, p, "ann", es, quick()))
			for _, e := range es {
				mustPredict(t, p, "ann", e.Text)
			}
		}
		return reports
	}
	on, off := lives(false), lives(true)
	if d := cmp.Diff(off, on, cmpopts.IgnoreFields(Report{}, "Seconds")); d != "" || on[2].Prequential.N == 0 ||
		on[2].After.N == 0 {
		t.Errorf("(-off +on):\n%s", d)
	}
}

// TestTaughtCache: keys are counted in Options.CacheBytes, the profile that was asked for last
// stays, and without room answers are the same.
func TestTaughtCache(t *testing.T) {
	c := small(t)
	c.Options.CacheBytes = taughtShare * 1000
	p := create(t, c)
	for i := range 5 {
		mustObserve(t, p, fmt.Sprint("user ", i), corrected)
	}
	for _, i := range []int{0, 1, 2, 0, 3} {
		wantTaught(t, "with room for three", p, fmt.Sprint("user ", i), corrected.Text, "ignore")
	}
	var left []string
	for e := p.taught.recent.Front(); e != nil; e = e.Next() {
		left = append(left, e.Value.(*taughtTexts).id)
	}
	if !slices.Equal(left, []string{"user 3", "user 0", "user 2"}) || len(p.taught.byID) != 3 {
		t.Errorf("got %q of %d", left, len(p.taught.byID))
	}
	st, err := p.Stats(context.Background())
	if err != nil || st.Cache.Bytes != p.cache.bytes+p.taught.bytes || p.taught.bytes == 0 ||
		st.Cache.Bytes > c.Options.CacheBytes {
		t.Errorf("got %d bytes (%v), want %d of adapters and %d of keys, %d at most", st.Cache.Bytes, err,
			p.cache.bytes, p.taught.bytes, c.Options.CacheBytes)
	}
	for i := range 5 {
		if err := p.Forget(context.Background(), fmt.Sprint("user ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if p.taught.bytes != 0 || p.cache.beside.Load() != 0 {
		t.Errorf("got %d and %d bytes when nobody is left", p.taught.bytes, p.cache.beside.Load())
	}

	c = small(t)
	c.Options.CacheBytes = 1
	p = create(t, c)
	mustObserve(t, p, "ann", corrected)
	for range 2 {
		wantTaught(t, "without room", p, "ann", corrected.Text, "ignore")
	}
	if len(p.taught.byID) != 0 {
		t.Errorf("got %d kept, want none", len(p.taught.byID))
	}
}

// TestTaughtTexts: each text has its label, of many or one, at 8 bytes; another has none.
func TestTaughtTexts(t *testing.T) {
	for _, labels := range []int{1, 2, 3, 300} {
		var told store.Told
		rng := rand.New(rand.NewPCG(1, uint64(labels)))
		for i := range 600 {
			told.Examples = append(told.Examples,
				store.Example{Key: rng.Uint64(), Label: fmt.Sprint("label ", i%labels)})
		}
		texts := newTaughtTexts("ann", told, 0)
		for _, e := range told.Examples {
			if got := texts.label(e.Key); got != e.Label {
				t.Fatalf("%d labels: got %q, want %q", labels, got, e.Label)
			}
			if got := texts.label(e.Key ^ 1<<40); got != "" {
				t.Fatalf("%d labels: got %q for an unknown text", labels, got)
			}
		}
		told.Examples = append(told.Examples, store.Example{Key: rng.Uint64(), Label: "label 0"})
		if more := newTaughtTexts("ann", told, 0).bytes() - texts.bytes(); more != 8 {
			t.Errorf("%d labels: got %d bytes more for a text, want 8", labels, more)
		}
	}
	if got := newTaughtTexts("ann", store.Told{}, 0).label(0); got != "" {
		t.Errorf("got %q without texts", got)
	}
}

// TestTaughtDamaged: where a stored example cannot be read the model answers.
func TestTaughtDamaged(t *testing.T) {
	p := create(t, small(t))
	teach(t, p, "ann")
	dir := p.dir
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	flip(t, filepath.Join(dir, "xpeft.db"), corrected.Text)
	p, err := Open(context.Background(), dir, &Options{Threads: 1, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	wantTaught(t, "damaged", p, "ann", corrected.Text, "")
}

// flip damages each copy of a text in a file.
func flip(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.ReplaceAll(data, []byte(text), []byte("X"+text[1:]))
	if bytes.Equal(damaged, data) {
		t.Fatalf("%q is not in the file", text)
	}
	writeFile(t, path, damaged)
}
