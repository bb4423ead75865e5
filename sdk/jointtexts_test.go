package sdk

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/internal/numeric"
	"github.com/xpeft/xpeft/internal/population"
	"github.com/xpeft/xpeft/model"
)

// knowing is a folder like joined's, whose axes know every second text.
type knowing struct {
	*planted
	sdk   *Folder
	model *population.Model    // without what it knows
	known map[string][]float64 // what they know of a text: a row
}

func newKnowing(t *testing.T) *knowing { return knowingIn(t, differing(t, "")) }

func knowingIn(t *testing.T, p *Folder) *knowing {
	t.Helper()
	p.observer.early = nil // who was only observed has no place
	k := &knowing{planted: plantedIn(t, p, 60, 1, 1), sdk: p, known: map[string][]float64{}}
	k.observed(t, p, 50, 40)
	byKey := map[uint64]string{}
	for _, text := range k.texts {
		e := k.encode(text)
		byKey[textKey(&e)] = text
	}
	joinWith(t, p, func(m *population.Model, keys []uint64) {
		for i := 0; i < len(keys); i += 2 {
			m.Known = append(m.Known, int32(i))
			row := make([]float64, m.Width())
			for c := range row {
				row[c] = float64((7*i+3*c)%32)/16 - 1
			}
			m.Own = append(m.Own, numeric.Narrow(row)...)
			k.known[byKey[keys[i]]] = row
		}
		bare := *m
		bare.Own, bare.Known = nil, nil
		k.model = &bare
	})
	return k
}

func (k *knowing) encode(text string) (e model.Encoding) {
	k.sdk.tokenizer.Encode(&e, text, "", k.sdk.maxTokens)
	return e
}

// known are texts of both kinds, one that the axes know first.
func (k *knowing) both() (texts []string) {
	for _, text := range k.texts {
		if _, ok := k.known[text]; ok == (len(texts)%2 == 0) {
			texts = append(texts, text)
		}
	}
	return texts
}

// row is what the model gives a text, and what it knows of it.
func (k *knowing) row(t *testing.T, text string) []float64 {
	t.Helper()
	x, err := k.sdk.features(context.Background(), []model.Encoding{k.encode(text)})
	if err != nil {
		t.Fatal(err)
	}
	row := k.model.Project(nil, x)
	if own, ok := k.known[text]; ok {
		numeric.Add(row, 1, own)
	}
	return row
}

// same says whether an answer is the softmax of logits.
func same(t *testing.T, what string, got Prediction, logits []float64) {
	t.Helper()
	numeric.Softmax(logits)
	for c, want := range logits {
		if d := math.Abs(float64(got.Probabilities[c].P) - want); !(d <= 1e-5) {
			t.Errorf("%s: got %v, want %v", what, got.Probabilities, logits)
			return
		}
	}
}

// TestKnownText: what the axes know of a text is in the answers of everybody who has their head,
// and along the axes of who has a place on them; other texts are answered without.
func TestKnownText(t *testing.T) {
	k := newKnowing(t)
	p, m := k.sdk, k.model
	mustLearn(t, p, "ann", k.person(9), nil)
	mustObserve(t, p, "bob", k.person(1)...)
	ann, err := p.snapshot("ann")
	if err != nil || ann.joint == nil || ann.record.Codes == nil {
		t.Fatalf("got %+v, %v, want a place on the axes", ann, err)
	}
	bob, err := p.snapshot("bob")
	if err != nil {
		t.Fatal(err)
	}
	code := &population.Code{Level: ann.joint.Places(ann.record.Codes[0].Rows)}
	for _, b := range ann.bias {
		code.Bias = append(code.Bias, byte(math.Round(16*float64(b)))+128)
	}
	texts := k.both()[:8]
	var reqs []Request
	for _, text := range texts {
		reqs = append(reqs, Request{Profile: "ann", Text: text}, Request{Profile: "bob", Text: text},
			Request{Base: true, Text: text}, Request{Profile: "nobody", Text: text, Fallback: FallbackBase})
	}
	out := mustBatch(t, p, reqs)
	for i, text := range texts {
		same(t, "ann: "+text, out[4*i], m.Logits(nil, k.row(t, text), code))
		prior := m.Logits(nil, k.row(t, text), nil)
		numeric.Add(prior, 1, numeric.Widen(bob.offset))
		same(t, "bob: "+text, out[4*i+1], prior)
		same(t, "the base: "+text, out[4*i+2], m.Logits(nil, k.row(t, text), nil))
		same(t, "nobody: "+text, out[4*i+3], m.Logits(nil, k.row(t, text), nil))
		if alone := mustPredict(t, p, "ann", text); distance(alone, out[4*i]) > 1e-6 {
			t.Errorf("ann, alone: got %v, want %v", alone, out[4*i])
		}
	}
}

// TestKnownTextLearned: rows that people are placed by, asked by and judged by have what the axes
// know.
func TestKnownTextLearned(t *testing.T) {
	ctx := context.Background()
	k := newKnowing(t)
	p := k.sdk
	es := k.person(9)
	mustLearn(t, p, "ann", es, nil)
	e, texts := &population.Examples{}, []model.Encoding{}
	for _, x := range es {
		e.Rows, texts = append(e.Rows, k.row(t, x.Text)...), append(texts, k.encode(x.Text))
		e.Class = append(e.Class, slices.Index(sides, x.Label))
	}
	want, err := k.model.Fit(ctx, e)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := p.snapshot("ann")
	if err != nil || ann.joint == nil || !bytes.Equal(ann.joint.Places(ann.record.Codes[0].Rows), want.Level) {
		t.Errorf("learned: got %+v, %v, want the place %v", ann, err, want.Level)
	}
	if rows, err := p.jointRows(ctx, ann.joint, texts); err != nil || !slices.Equal(rows, e.Rows) {
		t.Errorf("asked: got rows %v, %v, want %v", rows, err, e.Rows)
	}
	l, phi := k.learning(t, "ann", nil)
	who := l.along(phi, numbered(0, len(es)))
	for i, base := range slices.Collect(slices.Chunk(who.Base, 2)) {
		row := k.row(t, es[i].Text)
		if math.Abs(float64(base[0])-row[0])+math.Abs(float64(base[1])-row[1]) > 1e-4 {
			t.Errorf("judged: example %d: got %v, want %v", i, base, row[:2])
		}
	}
	then, err := l.logProbThen(ctx, who, phi, numbered(0, len(es)))
	if err != nil {
		t.Fatal(err)
	}
	if same, err := ann.joint.outOfFold(ctx, who, e.Rows); err != nil || !slices.Equal(then, same) {
		t.Errorf("out of fold: got %v, %v, want %v", then, err, same)
	}
}

// learning is a person's next one, and φ of its texts.
func (k *knowing) learning(t *testing.T, id string, es []Example) (*learning, []float32) {
	t.Helper()
	opts, err := (&LearnOptions{}).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := k.sdk.newLearning(context.Background(), id, es, opts)
	if err != nil {
		t.Fatal(err)
	}
	phi, err := k.sdk.features(context.Background(), encodings(l.examples))
	if err != nil {
		t.Fatal(err)
	}
	l.phi = phi
	return l, phi
}

// TestKnownTextJudged: what is served is judged by what Predict says, and prior and base too.
func TestKnownTextJudged(t *testing.T) {
	ctx := context.Background()
	k := newKnowing(t)
	p, es := k.sdk, k.person(25)
	mustLearn(t, p, "ann", es[:9], nil)
	l, _ := k.learning(t, "ann", es[9:])
	l.kept = map[uint32]digits.Answer{0: {}}
	served, err := l.servedAnswers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := l.tallyOf(ctx, served)
	if err != nil {
		t.Fatal(err)
	}
	var base, prior, bare, n float64
	counts := make([]uint32, 2)
	for _, e := range es[:9] {
		counts[slices.Index(sides, e.Label)]++
	}
	right := func(logits []float64, label string) float64 {
		if (logits[1] > logits[0]) == (label == sides[1]) {
			return 1
		}
		return 0
	}
	for i, e := range es[9:] {
		answer := answeredBy(mustPredict(t, p, "ann", e.Text), l.head, e.Label)
		if got := served[9+i]; math.Abs(got.Loss-answer.Loss) > 1e-5 {
			t.Errorf("served: example %d: got a loss of %g, want %g", i, got.Loss, answer.Loss)
		}
		row := k.row(t, e.Text)[:2]
		base += right(row, e.Label)
		numeric.Add(row, 1, numeric.Widen(l.head.Prior(counts, priorStrength)))
		prior += right(row, e.Label)
		if own, ok := k.known[e.Text]; ok {
			numeric.Add(row, -1, own[:2])
		}
		bare += right(row, e.Label)
		counts[slices.Index(sides, e.Label)]++
		n++
	}
	if tally.n != n || tally.base != base || tally.prior != prior || bare == prior {
		t.Errorf("got %+v, want %g of base and %g of prior right, not %g, of %g", tally, base, prior, bare, n)
	}
}

// TestKnownTextHeadReport: a head that takes the place of the axes' is compared with what they
// served.
func TestKnownTextHeadReport(t *testing.T) {
	ctx := context.Background()
	k := newKnowing(t)
	p := k.sdk
	h, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	data, _, err := p.headData(ctx, h, teachers{most: mostTaught})
	if err != nil {
		t.Fatal(err)
	}
	var want Score
	byTokens := map[string]string{}
	for _, text := range k.texts {
		e := k.encode(text)
		byTokens[string(appendTokens(nil, &e))] = text
	}
	for _, e := range data.held {
		z := k.row(t, byTokens[string(appendTokens(nil, &e.Text))])[:2]
		numeric.Softmax(z)
		want.Loss -= math.Log(z[e.Class]) / float64(len(data.held))
	}
	rep, err := p.TrainHead(ctx, &TrainHeadOptions{Force: true})
	if err != nil || math.Abs(rep.Before.Loss-want.Loss) > 1e-5 || rep.HeldOut != len(data.held) {
		t.Errorf("got %+v, %v, want a loss of %g before", rep, err, want.Loss)
	}
}

// TestKnownTextTravels: what the axes know goes with their file, and comes to who was there before
// it.
func TestKnownTextTravels(t *testing.T) {
	ctx := context.Background()
	k := newKnowing(t)
	p, text := k.sdk, k.both()[0]
	mustLearn(t, p, "ann", k.person(9), nil)
	mustObserve(t, p, "bob", k.person(1)...)
	to := differing(t, "")
	travel := func(id string) {
		t.Helper()
		var bundle bytes.Buffer
		if _, err := p.Export(ctx, &bundle, &ExportOptions{IDs: []string{id}, IncludeBank: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Import(ctx, &bundle, nil); err != nil {
			t.Fatal(err)
		}
	}
	alike := func(what string, to *Folder, id string, want bool) {
		t.Helper()
		here, there := mustPredict(t, p, id, text, PredictOptions{Fallback: FallbackBase}),
			mustPredict(t, to, id, text, PredictOptions{Fallback: FallbackBase})
		if (distance(here, there) == 0) != want {
			t.Errorf("%s: %s: got %v, here %v", what, id, there, here)
		}
	}
	travel("bob")
	alike("without the axes", to, "bob", false)
	travel("ann")
	alike("imported", to, "ann", true)
	alike("with the axes", to, "bob", true)
	var backup bytes.Buffer
	if _, err := p.Backup(ctx, &backup, nil); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/restored"
	if _, err := Restore(ctx, dir, nil, &backup); err != nil {
		t.Fatal(err)
	}
	back := open(t, dir, &Options{Device: device()})
	for _, id := range []string{"ann", "bob", "nobody"} {
		alike("restored", back, id, true)
	}
}

// TestKnownTextFile: a bank that keeps nothing of texts is one of the first version, and one whose
// file is gone leaves the head to answer alone.
func TestKnownTextFile(t *testing.T) {
	k := newKnowing(t)
	p, text := k.sdk, k.both()[0]
	j, err := p.newcomersJoint()
	if err != nil || len(j.Keys) != 30 {
		t.Fatalf("got %+v, %v, want 30 texts", j, err)
	}
	if data := jointSum(t, p, j.digest.String()); data[8] != 2 {
		t.Errorf("got version %d, want 2", data[8])
	}
	joinWith(t, p, func(*population.Model, []uint64) {})
	now, err := p.newcomersJoint()
	if err != nil || now.digest == j.digest || now.head != j.head {
		t.Fatalf("got %+v, %v, want another bank with the same head", now, err)
	}
	if data := jointSum(t, p, now.digest.String()); data[8] != 1 || len(now.Keys) > 0 {
		t.Errorf("got version %d, %d texts, want version 1", data[8], len(now.Keys))
	}
	file := folder.BankPath(p.dir, j.digest)
	if err := os.Rename(file, file+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, p.dir, &Options{Device: device()})
	k.sdk, k.known = again, nil
	same(t, "without the file", mustPredict(t, again, "nobody", text, PredictOptions{Fallback: FallbackBase}),
		k.model.Logits(nil, k.row(t, text), nil))
	if err := os.Rename(file+".aside", file); err != nil {
		t.Fatal(err)
	}
}

// TestKnownTextMasks: a folder of masks answers as before when somebody lays axes that know texts
// into it.
func TestKnownTextMasks(t *testing.T) {
	k := newKnowing(t)
	c := small(t)
	c.Labels = sides
	p := create(t, c)
	want := mustPredict(t, p, "nobody", k.texts[0], PredictOptions{Fallback: FallbackBase})
	banks, err := k.sdk.store.Banks()
	if err != nil {
		t.Fatal(err)
	}
	added := 0
	for _, info := range banks {
		f, err := os.Open(folder.BankPath(k.sdk.dir, info.Digest))
		if errors.Is(err, fs.ErrNotExist) { // a random one
			continue
		}
		if err == nil {
			_, err = folder.AddBank(context.Background(), p.store, p.dir, f)
		}
		if err != nil {
			t.Fatal(err)
		}
		added++
		f.Close()
	}
	closeClean(t, p)
	p = open(t, p.dir, c.Options)
	if got := mustPredict(t, p, "nobody", k.texts[0], PredictOptions{Fallback: FallbackBase}); added != 2 ||
		distance(got, want) != 0 {
		t.Errorf("with %d files of axes: got %v, want %v", added, got, want)
	}
}
