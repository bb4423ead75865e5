package sdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/digits"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/store"
)

// coded is a folder of digits over the tiny model.
func coded(t testing.TB) *Folder {
	c := small(t)
	c.Masks = false
	return create(t, c)
}

// TestRequestedOfDigits is TestRequested of profiles of digits.
func TestRequestedOfDigits(t *testing.T) {
	t.Parallel()
	ctx, p := context.Background(), coded(t)
	before, err := p.axes.Axes.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	const learns, people = 1000, 50
	for i := range learns {
		mustLearn(t, p, fmt.Sprint("user ", i%people), meant(24, i%4), &LearnOptions{Force: true})
	}
	again, err := p.axes.Axes.MarshalBinary()
	if err != nil || !bytes.Equal(again, before) || sha256.Sum256(again) != p.axes.digest {
		t.Errorf("the axes have changed: %v", err)
	}
	withCode := 0
	for rec, err := range p.store.Profiles("") { // read out of bbolt
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range rec.Codes {
			withCode++
			for i := range c.Labels {
				row, err := bitmask.PairRow(c.Rows[i*bitmask.RowBytes(c.K):(i+1)*bitmask.RowBytes(c.K)], c.K)
				if err != nil || c.Bank != p.axes.ref || row.Count() != p.axes.K() {
					t.Errorf("%s: row %d is %v over bank %d, %v, want %d-hot", rec.ID, i, row, c.Bank, err, p.axes.K())
				}
			}
		}
	}
	if withCode < people*3/4 {
		t.Errorf("got %d of %d records with digits", withCode, people)
	}
	start, err := p.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	id := coder(t, p)
	for range 3 {
		mustPredict(t, p, id, "server down")
	}
	now, err := p.Stats(ctx)
	if d := now.Sub(start); err != nil || d.Folds != 1 || d.Cache.Hits != 2 || d.Cache.Misses != 1 {
		t.Errorf("three answers folded %d times with %d hits (%v), want 1 and 2", d.Folds, d.Cache.Hits, err)
	}
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	q := coded(t)
	if _, err := q.Import(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	for i := range people {
		id := fmt.Sprint("user ", i)
		near(t, id, mustPredict(t, q, id, "server down"), mustPredict(t, p, id, "server down"))
	}
}

// meant are examples that are all of their text's label.
func meant(n, from int) []Example {
	return examples(n+from, 0)[from:]
}

// coder is a profile that has digits.
func coder(t *testing.T, p *Folder) string {
	t.Helper()
	for rec, err := range p.store.Profiles("") {
		if err != nil {
			t.Fatal(err)
		}
		if len(rec.Codes) > 0 {
			return rec.ID
		}
	}
	t.Fatal("no profile has digits")
	return ""
}

// TestDigitsAnswer: what is served is head, prior, bias and the plain average of the directions,
// over the temperature.
func TestDigitsAnswer(t *testing.T) {
	p := coded(t)
	mustLearn(t, p, "ann", examples(40, 1), &LearnOptions{Force: true})
	rec, err := p.store.Get("ann")
	if err != nil || len(rec.Codes) == 0 {
		t.Fatalf("got %+v, %v, want digits", rec, err)
	}
	rec.Temperature = 170
	if _, err := p.store.Put(context.Background(), rec, store.Write{}); err != nil {
		t.Fatal(err)
	}
	snap, err := p.snapshot("ann")
	if err != nil {
		t.Fatal(err)
	}
	text := "server down"
	phi, err := p.features(context.Background(),
		encodings(p.encode([]store.Example{{Text: text, Label: labels[0]}}, snap.head)))
	if err != nil {
		t.Fatal(err)
	}
	c, z := snap.record.Codes[0], snap.head.Logits(nil, phi)
	for i := range z {
		z[i] += snap.offset[i]
	}
	for i, label := range c.Labels {
		row, err := bitmask.PairRow(c.Rows[i*bitmask.RowBytes(c.K):(i+1)*bitmask.RowBytes(c.K)], c.K)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, at := range row.AppendIndices(nil) { // the direction ± K·2^-m·V_j
			axis, digit, sign := int(at/2)/p.axes.Digits, int(at/2)%p.axes.Digits+1, 2*float64(at%2)-1
			along := 0.0
			for k, v := range p.axes.V[axis*p.axes.Dim() : (axis+1)*p.axes.Dim()] {
				along += float64(v) * float64(phi[k])
			}
			sum += sign * float64(c.K) * math.Exp2(-float64(digit)) * along
		}
		z[label] += float32(math.Exp2((float64(c.Scales[i])-160)/16) * sum / float64(c.K))
	}
	heat, total := math.Exp2((170.0-128)/32), 0.0
	for _, v := range z {
		total += math.Exp(float64(v) / heat)
	}
	for i, got := range mustPredict(t, p, "ann", text).Probabilities {
		if want := math.Exp(float64(z[i])/heat) / total; math.Abs(float64(got.P)-want) > 1e-4 {
			t.Errorf("%s: got %g, want %g", got.Label, got.P, want)
		}
	}
}

// TestDigitsBesideMasks: a Learn with a Config makes masks of digits, the next one without makes
// digits of masks, and both ways are said.
func TestDigitsBesideMasks(t *testing.T) {
	p := coded(t)
	rep := mustLearn(t, p, "ann", examples(30, 1), nil)
	if rep.Moved || rep.Examples != 30 || len(rep.Labels) == 0 || rep.After.N != 30 {
		t.Errorf("got %+v, want all 30 trained on and measured", rep)
	}
	quick := learner.Default()
	quick.K, quick.Epochs = 0, 1
	rep = mustLearn(t, p, "ann", examples(3, 1), &LearnOptions{Config: &quick})
	if rec, err := p.store.Get("ann"); err != nil || !rep.Moved || !rep.Installed || rec.Mask == nil ||
		len(rec.Codes) > 0 {
		t.Errorf("got %+v, %v, want masks", rep, err)
	}
	mustPredict(t, p, "ann", "server down")
	rep = mustLearn(t, p, "ann", examples(10, 7), nil)
	rec, err := p.store.Get("ann")
	if err != nil || rep.Moved != rep.Installed || rep.Installed != (rec.Mask == nil) {
		t.Errorf("got %+v, %v, want digits if they are better", rep, err)
	}
	mustPredict(t, p, "ann", "server down")
}

// TestDigitsGoOn: rolled back, taken back, observed, exported without examples and rebased, a
// profile of digits stays one that answers.
func TestDigitsGoOn(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	mustLearn(t, p, "ann", examples(30, 1), &LearnOptions{Force: true})
	want := mustPredict(t, p, "ann", "server down")
	mustLearn(t, p, "ann", examples(30, 5), &LearnOptions{Force: true})
	if _, err := p.Rollback(ctx, "ann", nil); err != nil {
		t.Fatal(err)
	}
	want.Revision = 3
	near(t, "rolled back", mustPredict(t, p, "ann", "server down"), want)
	rep := mustLearn(t, p, "ann", examples(12, 9), nil) // the answers out of fold are gone, and made again
	if rep.Before.N == 0 {
		t.Errorf("got %+v, want what was served measured", rep)
	}
	if err := p.ForgetExample(ctx, "ann", examples(30, 1)[0].Text, nil); err != nil {
		t.Fatal(err)
	}
	drain(t, p)
	if info, err := p.Profile(ctx, "ann"); err != nil || info.Waiting != 0 {
		t.Errorf("got %+v, %v, want all learned", info, err)
	}
	mustObserve(t, p, "bob", examples(3, 2)...)
	if info, err := p.Profile(ctx, "bob"); err != nil || info.Bank != "" || info.MaskBytes != 0 {
		t.Errorf("got %+v, %v, want nothing learned yet", info, err)
	}
	mustPredict(t, p, "bob", "server down")
	if rep, err := p.Rebase(ctx, "ann"); err != nil || !strings.Contains(rep.Reason, "is on") {
		t.Errorf("got %+v, %v, want it left alone", rep, err)
	}
	for rep, err := range p.RebaseAll(ctx) {
		t.Errorf("got %+v, %v, want nobody elsewhere", rep, err)
	}
	mustObserve(t, p, "carl", examples(3, 2)...)
	quick := learner.Default()
	quick.K, quick.Epochs = 0, 1
	if rep := mustLearn(t, p, "carl", examples(9, 2), &LearnOptions{Config: &quick}); !rep.Installed ||
		rep.Before.N == 0 {
		t.Errorf("masks of somebody who was only observed: got %+v, want them measured beside base and prior", rep)
	}
	if _, err := p.Check(ctx, &CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

// TestDigitsElsewhere: digits along other axes than the folder's are not taken in.
func TestDigitsElsewhere(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	mustLearn(t, p, "ann", examples(30, 1), &LearnOptions{Force: true})
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{IncludeBank: true}); err != nil {
		t.Fatal(err)
	}
	q := create(t, small(t)) // of masks
	_, err := q.Import(ctx, bytes.NewReader(bundle.Bytes()), nil)
	if mismatch := new(MismatchError); !errors.As(err, &mismatch) || mismatch.What != "axes" {
		t.Errorf("got %v, want a mismatch of axes", err)
	}
	if n, err := q.store.Count(); err != nil || n != 0 {
		t.Errorf("got %d profiles, %v, want none", n, err)
	}
}

// TestDigitsForeign: a record that does not go with the folder's axes or its head is an error, in
// its own answer alone.
func TestDigitsForeign(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	mustLearn(t, p, "ann", examples(30, 1), &LearnOptions{Force: true})
	for name, spoil := range map[string]func(*store.Profile){
		"another label":    func(r *store.Profile) { r.Codes[0].Labels = []uint32{0, 1, 99} },
		"a head of masks":  func(r *store.Profile) { r.Head, r.Prior = narrowHead(t, p), nil },
		"a bias too short": func(r *store.Profile) { r.Bias = r.Bias[:len(r.Bias)-1] },
	} {
		rec, err := p.store.Get("ann")
		if err != nil {
			t.Fatal(err)
		}
		rec.ID = "bob"
		spoil(rec)
		if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
			t.Fatal(err)
		}
		out, err := p.PredictBatch(ctx,
			[]Request{{Profile: "bob", Text: "server down"}, {Profile: "ann", Text: "server down"}})
		if err != nil || !errors.Is(out[0].Err, ErrCorrupt) && !errors.Is(out[0].Err, ErrMismatch) ||
			out[1].Err != nil {
			t.Errorf("%s: got %v, %v, want an error of bob's alone", name, out, err)
		}
		if err := p.Forget(ctx, "bob"); err != nil {
			t.Fatal(err)
		}
	}
}

// narrowHead is a head of an earlier version, over the pooled embedding.
func narrowHead(t *testing.T, p *Folder) uint32 {
	t.Helper()
	h, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.narrowed(h).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	ref, _, err := p.store.PutHead(context.Background(), data)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestDigitsReopened: the axes are nobody's data, the digits are sealed.
func TestDigitsReopened(t *testing.T) {
	c := small(t)
	c.Masks, c.Options.MasterKey = false, bytes.Repeat([]byte{7}, 32)
	p := create(t, c)
	mustLearn(t, p, "ann", examples(30, 1), &LearnOptions{Force: true})
	want := mustPredict(t, p, "ann", "server down")
	dir, o := p.dir, *c.Options
	closeClean(t, p)
	near(t, "reopened", mustPredict(t, open(t, dir, &o), "ann", "server down"), want)
}

// TestOldFolderOfMasks: a folder of an older version answers as it did, and its profiles become
// digits at their next Learn.
func TestOldFolderOfMasks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := real(t, Config{Labels: labels, Masks: true, Options: &Options{Device: device()}})
	mustLearn(t, p, "old", examples(30, 0), nil)
	mustLearn(t, p, "own", examples(30, 0), &LearnOptions{Head: OwnHead})
	mustLearn(t, p, "number", hours(30), &LearnOptions{Head: NumberHead})
	if _, err := p.TrainHead(ctx, &TrainHeadOptions{Force: true}); err != nil {
		t.Fatal(err)
	}
	asked := []Request{{Base: true, Text: "the server is down"}, {Profile: "old", Text: "the server is down"},
		{Profile: "own", Text: "the server is down"}, {Profile: "number", Text: "the server is down"}}
	before, err := p.PredictBatch(ctx, asked)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.store.PutMeta(ctx, metaMasks, []byte{0}); err != nil { // nobody asked for masks
		t.Fatal(err)
	}
	dir := p.dir
	closeClean(t, p)
	p = open(t, dir, nil)
	if p.axes == nil {
		t.Fatal("got no axes")
	}
	after, err := p.PredictBatch(ctx, asked)
	if err != nil {
		t.Fatal(err)
	}
	for i := range asked {
		near(t, fmt.Sprint("answer ", i), after[i], before[i])
	}
	rep := mustLearn(t, p, "old", examples(33, 0)[30:], nil)
	rec, err := p.store.Get("old")
	if err != nil || rep.Moved != rep.Installed || rep.Installed != (len(rec.Codes) > 0 && rec.Mask == nil) ||
		rep.Before.N == 0 {
		t.Errorf("got %+v, %v, want it moved if digits are better", rep, err)
	}
	for id, more := range map[string][]Example{"own": examples(33, 0)[30:], "number": hours(33)[30:]} {
		if moved, err := p.moved(id); err != nil || moved {
			t.Errorf("%s: got %v, %v, want it where it was", id, moved, err)
		}
		rep := mustLearn(t, p, id, more[:2], &LearnOptions{Force: true})
		snap, err := p.snapshot(id)
		if err != nil || !rep.Moved || !snap.own || snap.head.Hidden != p.width() {
			t.Errorf("%s: got %+v, %v, want a head of its own over φ", id, rep, err)
		}
		if rep := mustLearn(t, p, id, more[2:], &LearnOptions{Force: true}); rep.Moved {
			t.Errorf("%s: it moved twice", id)
		}
	}
	closeClean(t, p)
	p = open(t, dir, nil)
	mustPredict(t, p, "old", "the server is down")
	mustLearn(t, p, "new", examples(30, 0), nil)
}

// TestRareLabel is A5: of 45 examples five are urgent, and the profile learns them, says so, and
// answers so.
func TestRareLabel(t *testing.T) {
	teach, ask := input(t, "a05_learn.jsonl"), input(t, "a05_ask.jsonl")
	p := real(t, Config{Labels: labels})
	rep := mustLearn(t, p, "dana", teach, nil)
	urgent, everyday, n := 0, 0.0, 0
	for _, e := range ask {
		if mustPredict(t, p, "dana", e.Text).Label == "urgent" {
			urgent++
		}
	}
	for _, l := range rep.Labels {
		t.Logf("%+v", l)
		if l.Label != "urgent" {
			everyday, n = everyday+l.Recall*float64(l.N), n+l.N
		}
	}
	t.Logf("%d of %d urgent, %.0f of %d others out of fold, macro-F1 %.2f; %s", urgent, len(ask), everyday, n,
		rep.MacroF1, rep.Reason)
	if urgent < 12 || everyday < 34 || n != 40 {
		t.Errorf("got %d of 19 urgent and %.0f of %d others, want 12 and 34 of 40", urgent, everyday, n)
	}
}

// TestMasksAfterDigits: in a folder that gets a trained bank, a profile of digits becomes masks
// only if they are no worse than its digits were out of fold.
func TestMasksAfterDigits(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	for i := range 6 {
		mustLearn(t, p, fmt.Sprint("user ", i), meant(40, i), &LearnOptions{Force: true})
	}
	before, err := p.snapshot("user 1")
	if err != nil || len(before.record.Codes) == 0 {
		t.Fatalf("got %+v, %v, want digits", before, err)
	}
	if _, err := p.TrainBank(ctx, &TrainBankOptions{Edit: fewSteps}); err != nil {
		t.Fatal(err)
	}
	rep := mustLearn(t, p, "user 1", meant(3, 50), nil)
	rec, err := p.store.Get("user 1")
	if err != nil || rep.Before.N == 0 || rep.Before.Accuracy < 0.8 || rep.Installed != (rec.Mask != nil) ||
		rep.Moved != rep.Installed || rep.Installed != (rep.After.Accuracy >= rep.Before.Accuracy) {
		t.Errorf("got %+v, %v, want the digits measured and the better of both", rep, err)
	}
	mustPredict(t, p, "user 1", "server down")
}

// TestRefusedIsNotServed: examples that a refused revision learned from are answered by what is
// served, so that learning again does not install it.
func TestRefusedIsNotServed(t *testing.T) {
	p := coded(t)
	mustLearn(t, p, "ann", meant(60, 0), &LearnOptions{Force: true})
	wrong := meant(30, 60)
	for i := range wrong { // with labels of other texts
		wrong[i].Label = labels[(i*7+i/5)%3]
	}
	rep := mustLearn(t, p, "ann", wrong, nil)
	if rep.Installed {
		t.Fatalf("got %+v, want it refused", rep)
	}
	again := mustLearn(t, p, "ann", meant(1, 0), nil)
	if again.Installed || again.Before.Loss > rep.Before.Loss*1.05 || again.Before.N != rep.Before.N {
		t.Errorf("got %+v, then %+v, want the same sides again", rep.Before, again.Before)
	}
}

// TestServedAnswers: what was learned from is answered out of fold, as the Learn that did so found
// it, and only what came later is answered by what is served.
func TestServedAnswers(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	first := mustLearn(t, p, "ann", meant(40, 0), &LearnOptions{Force: true})
	opts, err := (*LearnOptions)(nil).withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.newLearning(ctx, "ann", meant(3, 40), opts)
	if err != nil {
		t.Fatal(err)
	}
	if l.phi, err = p.features(ctx, encodings(l.examples)); err != nil {
		t.Fatal(err)
	}
	answers, err := l.servedAnswers(ctx)
	if err != nil || len(answers) != 43 {
		t.Fatalf("got %d answers, %v", len(answers), err)
	}
	for i, a := range answers {
		if !a.Known || a.Fresh != (i >= 40) {
			t.Errorf("answer %d: got %+v, want it known, and fresh from 40 on", i, a)
		}
	}
	if sc, _ := digits.Scores(answers[:40], answers[:40]); math.Abs(sc.Loss-first.After.Loss) > 1e-3 ||
		sc.Accuracy != first.After.Accuracy {
		t.Errorf("got %+v on what was learned from, want %+v", sc, first.After)
	}
}

func TestLabelReports(t *testing.T) {
	examples := []learner.Example{{Class: 0}, {Class: 0}, {Class: 1}, {Class: 1}, {Class: 1}}
	answers := []digits.Answer{{Known: true, Label: 0, Right: true}, {Known: true, Label: 1},
		{Known: true, Label: 1, Right: true}, {Known: true, Label: 1, Right: true}, {Label: 0}}
	got, f1 := labelReports([]string{"a", "b", "c"}, examples, answers)
	want := []LabelReport{{"a", 2, 0.5, 1}, {"b", 2, 1, 2.0 / 3}}
	if !slices.Equal(got, want) || math.Abs(f1-(2.0/3+0.8)/2) > 1e-9 {
		t.Errorf("got %v, %.3f, want %v", got, f1, want)
	}
}

// hours are texts with numbers.
func hours(n int) []Example {
	out := examples(n, 0)
	for i := range out {
		out[i] = Example{Text: out[i].Text, Value: Number(float64(i % 5))}
	}
	return out
}

// TestOldOwnHead: an own head over the pooled embedding in a folder with axes answers, is not where
// new ones are, and gets there by Rebase.
func TestOldOwnHead(t *testing.T) {
	ctx, p := context.Background(), coded(t)
	mustLearn(t, p, "own", examples(30, 1), own(2))
	snap, err := p.snapshot("own")
	if err != nil {
		t.Fatal(err)
	}
	if moved, err := p.moved("own"); err != nil || !moved || snap.head.Hidden != p.width() {
		t.Fatalf("got a head over %d values, moved %v, %v", snap.head.Hidden, moved, err)
	}
	rec := snap.record
	if rec.OwnHead, err = p.narrowed(snap.head).MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
		t.Fatal(err)
	}
	if moved, err := p.moved("own"); err != nil || moved {
		t.Errorf("got moved %v, %v, want it where it was", moved, err)
	}
	mustPredict(t, p, "own", "server down")
	rep, err := p.Rebase(ctx, "own")
	if err != nil || rep.Moved != rep.Installed || rep.Before.N == 0 {
		t.Errorf("got %+v, %v, want both sides measured", rep, err)
	}
	if moved, err := p.moved("own"); err != nil || moved != rep.Installed {
		t.Errorf("after Rebase: got moved %v, %v, want %v", moved, err, rep.Installed)
	}
}
