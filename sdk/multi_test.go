package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// multi is a folder of the tiny model whose labels are not exclusive.
func multi(t testing.TB) *Folder {
	c := withAxes(t)
	c.Multi = true
	return create(t, c)
}

// meanings are which labels two people give to the texts of each topic.
var meanings = map[string]map[string][]string{
	"ann": {"urgent": {"later", "urgent"}, "later": {"later"}, "ignore": {}},
	"ben": {"urgent": {}, "later": {"ignore", "later"}, "ignore": {"urgent"}},
}

// sets are examples of n different texts, numbered from first on, by what a person means.
func sets(id string, first, n int) (out []Example) {
	for i, e := range examples(first+n, 0)[first:] {
		e.Label, e.Labels = "", meanings[id][labels[(first+i)%3]]
		out = append(out, e)
	}
	return out
}

// agree counts the texts that are answered with exactly their labels.
func agree(t *testing.T, p *Folder, id string, es []Example) (n int) {
	t.Helper()
	for _, e := range es {
		got := slices.Sorted(slices.Values(mustPredict(t, p, id, e.Text, PredictOptions{NoTaught: true}).Labels))
		if slices.Equal(got, e.Labels) {
			n++
		}
	}
	return n
}

// TestMulti: two people who mean something else by overlapping labels, neither of which excludes
// the other, get their own answers, after Close and in another folder too.
func TestMulti(t *testing.T) {
	ctx := context.Background()
	p := multi(t)
	for id := range meanings {
		rep := mustLearn(t, p, id, sets(id, 0, 36), nil)
		if rep.Examples != 36 || rep.After.N != 108 || rep.After.Accuracy < 0.85 || rep.Before.Accuracy > 0.8 ||
			!rep.Installed || len(rep.Labels) < 2 || rep.MacroF1 < 0.8 || rep.Sure != (Sure{}) {
			t.Errorf("%s: got %+v", id, rep)
		}
		for _, l := range rep.Labels {
			if l.N != 12 && l.N != 24 && l.N != 0 || l.N > 0 && (l.Recall < 0.6 || l.Precision < 0.8) {
				t.Errorf("%s: got %+v", id, l)
			}
		}
	}
	check := func(p *Folder) {
		t.Helper()
		for id := range meanings {
			if got := agree(t, p, id, sets(id, 36, 24)); got < 20 {
				t.Errorf("%s: got %d of 24 sets right, want 20 or more", id, got)
			}
		}
	}
	check(p)
	got := mustPredict(t, p, "ann", "the server is down 99")
	if got.Label != "" || got.Model != "" || got.Margin != 0 || len(got.Probabilities) != 3 || got.Source != SourceProfile ||
		got.Probabilities[0].P+got.Probabilities[1].P < 1.2 {
		t.Errorf("got %+v, want two probable labels and no Label", got)
	}
	all := mustPredict(t, p, "ann", "the server is down 99", PredictOptions{MinProbability: 1e-9})
	none := mustPredict(t, p, "ann", "the server is down 99", PredictOptions{MinProbability: 1})
	if len(all.Labels) != 3 || none.Labels == nil || len(none.Labels) != 0 {
		t.Errorf("from a probability of 0 on %v, of 1 on %v: want all, and none that is not nil", all.Labels, none.Labels)
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{Examples: true}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, p.dir, nil)
	check(p)
	q := multi(t)
	if _, err := q.Import(ctx, bytes.NewReader(bundle.Bytes()), nil); err != nil {
		t.Fatal(err)
	}
	for _, e := range sets("ben", 30, 12) {
		a, b := mustPredict(t, p, "ben", e.Text), mustPredict(t, q, "ben", e.Text)
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("in another folder (-here +there):\n%s", d)
		}
	}
}

// TestMultiIsToldOne: what was taught is answered as it was taught, a set at a time; the newer set
// of a text replaces the older, and one text is taken back with all that it taught.
func TestMultiIsToldOne(t *testing.T) {
	ctx := context.Background()
	p := multi(t)
	mustObserve(t, p, "ann", Example{Text: "server one", Labels: []string{"urgent", "later"}},
		Example{Text: "phone one", Labels: []string{}}, Example{Text: "disk one", Labels: []string{"urgent"}})
	got := mustPredict(t, p, "ann", "phone one")
	if got.Source != SourceTaught || got.Labels == nil || len(got.Labels) != 0 {
		t.Errorf("taught that a text is of no label: got %+v", got)
	}
	told := mustPredict(t, p, "ann", "server one")
	if !slices.Equal(told.Labels, []string{"later", "urgent"}) || told.Source != SourceTaught {
		t.Errorf("taught two: got %+v", told)
	}
	rec, err := p.store.Get("ann")
	if err != nil || !slices.Equal(rec.Prior, []uint32{2, 1, 0, 3}) {
		t.Errorf("got the counts %v (%v), want of urgent 2, of later 1, of 3 texts", rec.Prior, err)
	}
	prior := mustPredict(t, p, "ann", "a b c", PredictOptions{}).Probabilities
	base := mustPredict(t, p, "", "a b c", PredictOptions{Base: true}).Probabilities
	if prior[0].P <= base[0].P || prior[2].P >= base[2].P {
		t.Errorf("by the counts alone: got %v, the base %v", prior, base)
	}
	mustObserve(t, p, "ann", Example{Text: "server one", Labels: []string{"ignore"}})
	if got := mustPredict(t, p, "ann", "server one").Labels; !slices.Equal(got, []string{"ignore"}) {
		t.Errorf("corrected: got %v", got)
	}
	stored, err := p.stored("ann")
	if want := (Example{Text: "server one", Labels: []string{"ignore"}, Weight: 0}); err != nil || len(stored) != 3 ||
		!slices.ContainsFunc(stored, func(e Example) bool { return cmp.Equal(e, want) }) {
		t.Errorf("got %+v (%v), want 3 with %+v", stored, err, want)
	}
	mustLearn(t, p, "ann", sets("ann", 0, 24), nil)
	if err := p.ForgetExample(ctx, "ann", "server one", nil); err != nil {
		t.Fatal(err)
	}
	drain(t, p)
	info, err := p.Profile(ctx, "ann")
	if got := mustPredict(t, p, "ann", "server one"); err != nil || got.Source != SourceProfile || info.Examples != 26 {
		t.Errorf("forgotten: got %+v of %d examples (%v), want an answer of 26", got, info.Examples, err)
	}
}

// TestMultiNewcomer: of each of C labels somebody who has taught nothing begins at 1/C, and so does
// who has a profile of no examples; what is taught moves that.
func TestMultiNewcomer(t *testing.T) {
	p := multi(t)
	r, err := p.resolve(Request{Base: true, Text: "a b c"})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ got, want []float32 }{
		"a newcomer":      {r.offset, []float32{-0.6931472, -0.6931472, -0.6931472}},
		"a folder of two": {oddsOf(nil, 2), []float32{0, 0}},
		"no texts":        {oddsOf([]uint32{0, 0, 0, 0}, 3), []float32{-0.6931472, -0.6931472, -0.6931472}},
		"4 texts":         {oddsOf([]uint32{4, 0, 1, 4}, 3), []float32{0.6061358, -1.540445, -0.8754687}},
	} {
		for c, want := range test.want {
			if math.Abs(float64(test.got[c]-want)) > 1e-6 {
				t.Errorf("%s: got %v, want %v", name, test.got, test.want)
			}
		}
	}
}

// TestMultiJudged: labels at random are not installed over what was learned, Rollback and the same
// again are, and counts go on where examples are dropped.
func TestMultiJudged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := multi(t)
	mustLearn(t, p, "ann", sets("ann", 0, 36), nil)
	noise := sets("ann", 36, 24)
	for i := range noise {
		noise[i].Labels = [][]string{{}, {"urgent"}, {"ignore"}, {"ignore", "later"}}[i*7%13%4]
	}
	if rep := mustLearn(t, p, "ann", noise, nil); rep.Installed {
		t.Errorf("noise: got %+v", rep)
	}
	mustLearn(t, p, "ann", sets("ann", 60, 12), &LearnOptions{Force: true})
	if _, err := p.Rollback(ctx, "ann", nil); err != nil {
		t.Fatal(err)
	}
	if rep := mustLearn(t, p, "ann", sets("ann", 72, 24), nil); rep.Before.N != 3*96 || rep.Examples != 96 {
		t.Errorf("after a Rollback: got %+v", rep)
	}
	p = multi(t)
	for i := range 2 {
		mustLearn(t, p, "ann", sets("ann", 24*i, 24), &LearnOptions{DropExamples: true, Force: true})
	}
	rec, err := p.store.Get("ann")
	if err != nil || rec.Examples != 48 || !slices.Equal(rec.Prior, []uint32{16, 32, 0, 48}) {
		t.Errorf("dropped: got %d examples with the counts %v (%v)", rec.Examples, rec.Prior, err)
	}
}

// TestMultiRefuses: what makes no sense where labels are not exclusive, or only there, is refused
// by name, and nothing is lost.
func TestMultiRefuses(t *testing.T) {
	ctx := context.Background()
	p, q := multi(t), create(t, withAxes(t))
	mustLearn(t, p, "ann", sets("ann", 0, 24), nil)
	mustLearn(t, q, "ann", examples(24, 0), nil)
	before := mustPredict(t, p, "ann", "disk is full")
	learn := func(p *Folder, o *LearnOptions, e ...Example) error {
		_, err := p.Learn(ctx, "ann", append(sets("ann", 30, 2), e...), o)
		return err
	}
	call := func(_ any, err error) error { return err }
	adapter := func(export func(context.Context, string) ([]byte, []byte, error)) error {
		_, _, err := export(ctx, "ann")
		return err
	}
	set := func(labels ...string) Example { return Example{Text: "server", Labels: labels} }
	config := learner.Default()
	for name, test := range map[string]struct{ got, want error }{
		"an unknown label":    {learn(p, nil, set("urgent", "nonsense")), ErrUnknownLabel},
		"a label twice":       {learn(p, nil, set("urgent", " urgent")), ErrExample},
		"an empty label":      {learn(p, nil, set("")), ErrExample},
		"a label too":         {learn(p, nil, Example{Text: "a", Label: "later", Labels: []string{}}), ErrExample},
		"a value too":         {learn(p, nil, Example{Text: "a", Value: Number(1), Labels: []string{}}), ErrExample},
		"a rejected set":      {learn(p, nil, Example{Text: "a", Rejected: true, Labels: []string{"later"}}), ErrExample},
		"one label":           {learn(p, nil, Example{Text: "a", Label: "later"}), ErrExample},
		"nothing":             {learn(p, nil, Example{Text: "a"}), ErrExample},
		"a value":             {learn(p, nil, Example{Text: "a", Value: Number(1)}), ErrUnsupported},
		"a rejection":         {p.Rejected(ctx, "ann", "a", "later"), ErrUnsupported},
		"a confirmation":      {p.Confirmed(ctx, "ann", "a", "later"), ErrExample},
		"observed":            {p.Observe(ctx, "ann", set("nonsense")), ErrUnknownLabel},
		"observed by nobody":  {p.Observe(ctx, "new", set("nonsense")), ErrUnknownLabel},
		"too long":            {learn(p, nil, Example{Text: string(make([]byte, 1<<16)), Labels: []string{"later"}}), ErrExample},
		"a number head":       {learn(p, &LearnOptions{Head: NumberHead}), ErrUnsupported},
		"an own head":         {learn(p, &LearnOptions{Labels: labels}), ErrUnsupported},
		"AddLabels":           {learn(p, &LearnOptions{AddLabels: true}), ErrUnsupported},
		"masks":               {learn(p, &LearnOptions{Config: &config}), ErrUnsupported},
		"TrainBank":           {call(p.TrainBank(ctx, nil)), ErrUnsupported},
		"Advise":              {call(p.Advise(ctx, nil)), ErrUnsupported},
		"TrainHead":           {call(p.TrainHead(ctx, nil)), ErrUnsupported},
		"ImportHead":          {call(p.ImportHead(ctx, bytes.NewReader(nil), nil)), ErrUnsupported},
		"TrainRank":           {call(p.TrainRank(ctx, nil)), ErrUnsupported},
		"Rank":                {call(p.Rank(ctx, "ann", "", labels, nil)), ErrUnsupported},
		"Chose":               {p.Chose(ctx, "ann", "", labels, labels[0]), ErrUnsupported},
		"Ask":                 {call(p.Ask(ctx, "ann", nil)), ErrUnsupported},
		"ExportHead":          {call(p.ExportHead(ctx, io.Discard, HeadJSON)), ErrUnsupported},
		"the base's file":     {call(p.ExportHead(ctx, io.Discard, HeadSafetensors)), ErrUnsupported},
		"a set where labels":  {learn(q, nil, set("later")), ErrExample},
		"observed there":      {q.Observe(ctx, "ann", set("later")), ErrExample},
		"nobody's set there":  {q.Observe(ctx, "new", set()), ErrExample},
		"a probability of 2":  {call(p.Predict(ctx, "ann", "a", &PredictOptions{MinProbability: 2})), ErrConfig},
		"who does not exist":  {call(p.Predict(ctx, "new", "a", nil)), ErrProfileNotFound},
		"a text of no letter": {learn(p, nil, Example{Text: " ", Labels: []string{}}), ErrExample},
	} {
		wantError(t, name, test.got, test.want)
		if errors.Is(test.want, ErrUnsupported) && !bytes.Contains([]byte(fmt.Sprint(test.got)), []byte("(Config.Multi)")) {
			t.Errorf("%s: got %q, which does not name the option", name, test.got)
		}
	}
	wantError(t, "an adapter", adapter(p.ExportAdapterHub), ErrUnsupported)
	wantError(t, "a LoRA", adapter(p.ExportPEFT), ErrUnsupported)
	if after := mustPredict(t, p, "ann", "disk is full"); !cmp.Equal(before, after) {
		t.Errorf("got %+v, before %+v", after, before)
	}
	stored, err := p.stored("ann")
	if err != nil || len(stored) != 24 {
		t.Errorf("got %d stored examples (%v), want 24", len(stored), err)
	}
	c := small(t)
	c.Multi = true
	_, err = Create(ctx, t.TempDir(), c)
	wantError(t, "masks", err, ErrUnsupported)
	c.Masks, c.Options.BankEvery = false, 5
	_, err = Create(ctx, t.TempDir(), c)
	wantError(t, "BankEvery", err, ErrUnsupported)
}

// TestMultiStays: a folder knows that its labels are not exclusive; a version that does not know
// what that is finds another tokenizer, and bundles go into folders of the same kind only.
func TestMultiStays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	folders := []*Folder{multi(t), create(t, withAxes(t))}
	mustLearn(t, folders[0], "ann", sets("ann", 0, 12), nil)
	mustLearn(t, folders[1], "ann", examples(12, 0), nil)
	for i, p := range folders {
		var bundle bytes.Buffer
		if _, err := p.Export(ctx, &bundle, nil); err != nil {
			t.Fatal(err)
		}
		var m *MismatchError
		_, err := folders[1-i].Import(ctx, &bundle, nil)
		if !errors.As(err, &m) || m.What != "tokenizer" {
			t.Errorf("a bundle of the other kind: got %v", err)
		}
		o := p.options
		o.multi = !o.multi
		if err := p.model.same(p.store, o); !errors.As(err, &m) || m.What != "tokenizer" {
			t.Errorf("read as if it were of the other kind: got %v", err)
		}
	}
	if extra := folders[1].store.Meta().Extra; extra[folder.ExtraMulti] != "" {
		t.Errorf("got %v in a folder whose labels are exclusive", extra)
	}
	p := folders[0]
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(ctx, p.dir, &Options{BankEvery: 5})
	wantError(t, "BankEvery", err, ErrUnsupported)
	p = open(t, p.dir, nil)
	moved := t.TempDir() + "/moved"
	for _, err := range p.Move(ctx, moved, &MoveOptions{Model: tinyModel(t), MaxTokens: 20}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := mustPredict(t, open(t, moved, nil), "ann", sets("ann", 0, 1)[0].Text); !slices.Equal(got.Labels,
		[]string{"later", "urgent"}) {
		t.Errorf("moved: got %+v", got)
	}
}

// TestForgedSets: sets that a forged bundle brought where labels are exclusive, and labels where
// they are not, are neither learned nor answered with.
func TestForgedSets(t *testing.T) {
	ctx := context.Background()
	p, q := multi(t), create(t, withAxes(t))
	mustLearn(t, p, "ann", sets("ann", 0, 12), nil)
	mustLearn(t, q, "ann", examples(12, 0), nil)
	forged := map[*Folder]string{p: "urgent", q: folder.LabelSet([]string{"urgent"})}
	for f, label := range forged {
		if err := f.store.AppendExamples(ctx, "ann", []store.Example{{Text: "forged", Label: label}}); err != nil {
			t.Fatal(err)
		}
		got := mustPredict(t, f, "ann", "forged")
		if got.Source != SourceProfile || got.Label == label {
			t.Errorf("%q: got %+v", label, got)
		}
	}
	if rep := mustLearn(t, p, "ann", sets("ann", 12, 1), nil); rep.Examples != 13 {
		t.Errorf("got %d examples, want 13 without the label", rep.Examples)
	}
	if rep := mustLearn(t, q, "ann", examples(13, 0)[12:], nil); rep.Examples != 13 {
		t.Errorf("got %d examples, want 13 without the set", rep.Examples)
	}
}
