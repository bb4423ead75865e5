package sdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/xpeft/xpeft/bank"
	"github.com/xpeft/xpeft/bitmask"
	"github.com/xpeft/xpeft/internal/axes"
	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
	"github.com/xpeft/xpeft/store"
)

// TestPopulation: a bank made of people who differ earns new people's masks: k-hot rows over an
// immutable bank, from the first example on.
func TestPopulation(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := differing(t, "")
	q := plantedIn(t, p, 60, 1, 1)
	q.observed(t, p, 50, 40)
	mustLearn(t, p, "old 1", q.person(1), nil)
	before := mustPredict(t, p, "old 1", q.texts[0])
	rep := mustTrainBank(t, p)
	if pop := rep.Population; !rep.Installed || rep.Bank == "" || pop.Rank != 1 || pop.People != 50 ||
		pop.Texts != 60 || pop.Answers != 2000 || pop.Low <= 0 || len(pop.ByExamples) != 4 || len(pop.Tried) < 4 {
		t.Fatalf("got %+v, %+v, want one axis of 50 people", rep, pop)
	}
	t.Logf("gain %.3f (%.3f to %.3f), %v, took %v", rep.Population.Gain, rep.Population.Low, rep.Population.High,
		rep.Population.ByExamples, rep.Seconds)
	sum := jointSum(t, p, rep.Bank)
	if now := mustPredict(t, p, "old 1", q.texts[0]); distance(now, before) != 0 {
		t.Error("a profile that did not learn since is served otherwise")
	}
	var coded, prior, along, n float64
	for u := range 30 {
		es, id := q.person(60), fmt.Sprint("new ", u)
		learned := mustLearn(t, p, id, es[:20], nil)
		info, err := p.Profile(ctx, id)
		if err != nil || !learned.Installed {
			t.Fatalf("%s: got %+v, %v", id, learned, err)
		}
		coded += rightShare(t, p, id, es[20:])
		rec, err := p.store.Get(id)
		if err != nil {
			t.Fatal(err)
		}
		if info.Bank == rep.Bank { // else the person's own rows are better out of fold
			along++
			kHot(t, rec, rep.N)
			if learned.MaskBytes > 8 || info.Rows != 1 {
				t.Errorf("%s: got %+v, %+v, want a row of at most 8 bytes", id, learned, info)
			}
		}
		rec.ID, rec.Codes, rec.Bias = "prior of "+id, nil, nil
		if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
			t.Fatal(err)
		}
		prior += rightShare(t, p, rec.ID, es[20:])
		n++
	}
	t.Logf("new people: %.3f with 20 examples, %.3f with the prior", coded/n, prior/n)
	if coded/n < prior/n+0.1 || along < 20 {
		t.Errorf("got %.3f right, the prior %.3f, and %v of 30 along the axes", coded/n, prior/n, along)
	}
	if jointSum(t, p, rep.Bank) != sum {
		t.Error("the bank has changed")
	}
	moved := mustLearn(t, p, "old 1", q.person(1), nil)
	if info, err := p.Profile(ctx, "old 1"); err != nil || moved.Installed && (info.Bank != rep.Bank || !moved.Moved) {
		t.Errorf("got %+v, %+v, %v, want the old profile moved", moved, info, err)
	}
}

func kHot(t *testing.T, rec *store.Profile, n int) {
	t.Helper()
	c := rec.Codes[0]
	row, err := bitmask.PairRow(c.Rows, c.K)
	if err != nil || len(rec.Codes) != 1 || row.Count() != n/2 || 2*c.K != n {
		t.Errorf("%s: got %v, %v, want %d of %d", rec.ID, row, err, n/2, n)
	}
}

func jointSum(t *testing.T, p *Folder, digest string) string {
	t.Helper()
	data, err := os.ReadFile(folder.Banks(p.dir) + "/" + digest)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestJointAnswer: what is served is the plain average of the directions that the row takes, head
// and bias beside it, the same wherever the profile goes.
func TestJointAnswer(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p, q := joined(t)
	es := q.person(30)
	mustLearn(t, p, "ann", es[:9], nil)
	snap, err := p.snapshot("ann")
	if err != nil || snap.joint == nil {
		t.Fatalf("got %v, want a profile along joint axes", err)
	}
	text := es[20].Text
	var e model.Encoding
	p.tokenizer.Encode(&e, text, "", p.maxTokens)
	x, err := p.features(ctx, []model.Encoding{e})
	if err != nil {
		t.Fatal(err)
	}
	j, C, D := snap.joint, 2, p.axes.Dim()
	want := make([]float64, C)
	for c := range want {
		want[c] = float64(snap.head.B[c]) + float64(snap.bias[c])
		for i, v := range x {
			want[c] += float64(snap.head.W[c*D+i]) * float64(v)
		}
		bit := 0
		for a, digits := range j.Digits {
			for m := 1; m <= digits; m++ {
				sign := 2*float64(snap.record.Codes[0].Rows[bit/8]>>(bit%8)&1) - 1
				direction := float64(j.K()) * sign * math.Ldexp(float64(j.Range[a]), -m)
				sum := direction * float64(j.B[a*C+c])
				for i, v := range x {
					sum += direction * float64(j.V[(a*C+c)*D+i]) * float64(v)
				}
				want[c] += sum / float64(j.K())
				bit++
			}
		}
	}
	second := 1 / (1 + math.Exp(want[0]-want[1]))
	got := mustPredict(t, p, "ann", text)
	if d := math.Abs(float64(got.Probabilities[1].P) - second); d > 1e-5 {
		t.Errorf("got %v, want %g for the second label", got.Probabilities, second)
	}
	beside := mustBatch(t, p, []Request{{Base: true, Text: text}, {Profile: "ann", Text: text},
		{Profile: "old 1", Text: es[21].Text}})
	if distance(beside[1], got) != 0 {
		t.Errorf("beside others: got %v, want %v", beside[1], got)
	}
	var bundle, backup bytes.Buffer
	if _, err := p.Export(ctx, &bundle, &ExportOptions{IDs: []string{"ann"}, IncludeBank: true}); err != nil {
		t.Fatal(err)
	}
	to := differing(t, "")
	if _, err := to.Import(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	if there := mustPredict(t, to, "ann", text); distance(there, got) != 0 {
		t.Errorf("imported: got %v, want %v", there, got)
	}
	if learned := mustLearn(t, to, "ann", es[:4], nil); learned.MaskBytes != snap.record.MaskBytes() ||
		!learned.Installed {
		t.Errorf("learned in another folder: got %+v, want it along the axes that it came with", learned)
	}
	if _, err := p.Backup(ctx, &backup, nil); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir() + "/restored"
	if _, err := Restore(ctx, dir, nil, &backup); err != nil {
		t.Fatal(err)
	}
	back := open(t, dir, &Options{Device: device()})
	if there := mustPredict(t, back, "ann", text); distance(there, got) != 0 {
		t.Errorf("restored: got %v, want %v", there, got)
	}
	if rep := mustLearn(t, back, "new", es[:3], nil); rep.MaskBytes == 0 {
		t.Error("a restored folder has no joint axes for new profiles")
	}
	mustLearn(t, p, "ann", es[10:20], &LearnOptions{Force: true})
	if _, err := p.Rollback(ctx, "ann", nil); err != nil {
		t.Fatal(err)
	}
	if again := mustPredict(t, p, "ann", text); distance(again, got) != 0 {
		t.Errorf("rolled back: got %v, want %v", again, got)
	}
	mustLearn(t, p, "ann", es[20:21], nil) // whose answers out of fold are gone
	if err := p.Forget(ctx, "ann"); err != nil {
		t.Fatal(err)
	}
}

// TestPopulationThatDoesNotDiffer: where people differ in nothing that is shared, or labels are
// dealt anew among those who answered a text, nothing is installed.
func TestPopulationThatDoesNotDiffer(t *testing.T) {
	t.Parallel()
	p := differing(t, "")
	q := plantedIn(t, p, 60, 0, 2)
	q.observed(t, p, 40, 30)
	_, head, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	rep := mustTrainBank(t, p)
	if rep.Installed || rep.Bank != "" || rep.Population.Rank != 0 || rep.Population.People != 40 || rep.Reason == "" {
		t.Errorf("got %+v, want nothing installed", rep)
	}
	if _, now, err := p.shared(); err != nil || now != head {
		t.Errorf("the shared head has changed: %v", err)
	}
	if files, err := os.ReadDir(folder.Banks(p.dir)); err != nil || len(files) != 1 {
		t.Errorf("got %v, %v, want the axes alone", files, err)
	}
}

// TestJointRefused: what fits no joint axes is refused, whoever wrote it.
func TestJointRefused(t *testing.T) {
	ctx := context.Background()
	p, q := joined(t)
	heads, err := p.store.Heads()
	if err != nil {
		t.Fatal(err)
	}
	old, _, err := p.shared()
	if err != nil {
		t.Fatal(err)
	}
	oldRef := heads[slices.IndexFunc(heads, func(h store.HeadInfo) bool { return len(h.Names) == 0 })].Ref
	mustLearn(t, p, "ann", q.person(9), nil)
	for name, c := range map[string]struct {
		change func(*store.Profile)
		want   error
	}{
		"another head":  {func(r *store.Profile) { r.Head = oldRef }, ErrMismatch},
		"another label": {func(r *store.Profile) { r.Codes[0].Labels = []uint32{1} }, ErrCorrupt},
		"two labels": {func(r *store.Profile) {
			c := &r.Codes[0]
			c.Labels, c.Scales, c.Rows = []uint32{0, 1}, []byte{160, 160}, slices.Concat(c.Rows, c.Rows)
		}, ErrCorrupt},
		"a scale": {func(r *store.Profile) { r.Codes[0].Scales[0] = 161 }, ErrCorrupt},
		"labels of its own": {func(r *store.Profile) {
			own := old.Rows(1)
			own.Labels = []string{"own"}
			r.OwnHead, _ = own.MarshalBinary()
		}, ErrMismatch},
	} {
		rec, err := p.store.Get("ann")
		if err != nil {
			t.Fatal(err)
		}
		rec.ID = name
		c.change(rec)
		if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Predict(ctx, name, "server down", nil); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
		if err := p.Forget(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	foreign := &axes.Joint{Axes: bank.Digest(p.axes.digest), Head: bank.Digest{1}, Labels: sides,
		V: make([]float32, 2*p.axes.Dim()), B: []float32{0, 0}, Range: []float32{1}, Digits: []int{1}}
	info, err := folder.AddAxes(ctx, p.store, p.dir, foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.joint(info.Ref); !errors.Is(err, ErrMismatch) {
		t.Errorf("without their head: got %v, want ErrMismatch", err)
	}
}
