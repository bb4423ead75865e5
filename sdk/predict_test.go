package sdk

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/store"
)

// TestPredictBatch mixes profiles of every kind of head, the base, and rows that fail.
func TestPredictBatch(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "shared", examples(12, 0), forced())
	mustLearn(t, p, "turned", examples(12, 1), forced())
	o := own(2)
	o.Labels = []string{"spam", "urgent", "later", "ignore"}
	mustLearn(t, p, "own", examples(12, 0), o)
	mustLearn(t, p, "number", numbers(12), number(2))
	good := []Request{
		{Profile: "shared", Text: "the server is down"},
		{Profile: "own", Text: "win a free phone " + strings.Repeat("now ", 40)},
		{Base: true, Text: "the base, which needs no fallback"},
		{Profile: "number", Text: "a a a"},
		{Profile: "turned", Text: "the server is down", Pair: "really"},
		{Profile: "nobody", Text: "hello", Fallback: FallbackBase},
		{Profile: "shared", Text: "x"},
	}
	reqs := append([]Request{
		{Profile: "nobody", Text: "hello"},
		{Profile: "shared", Text: ""},
		{Profile: "shared", Text: " \t"},
		{Profile: "shared", Text: "x", Fallback: "guess"},
		{Profile: "\xff", Text: "x"},
		{Profile: strings.Repeat("x", 300), Text: "x", Fallback: FallbackBase},
		{Profile: "", Text: "x", Fallback: FallbackBase},
		{Profile: "shared", Text: strings.Repeat("x", 1<<20), Pair: "y"},
	}, good...)
	want := []error{ErrProfileNotFound, ErrExample, ErrExample, ErrConfig, ErrID, ErrID, ErrID, ErrLimit}
	for n := 0; len(reqs) < 150; n++ {
		reqs = append(reqs, good[n%len(good)])
	}
	before, err := p.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reqs {
		if out[i].Profile != r.Profile {
			t.Fatalf("row %d: got profile %q, want %q", i, out[i].Profile, r.Profile)
		}
		if i < len(want) {
			wantError(t, fmt.Sprintf("row %d", i), out[i].Err, want[i])
			if out[i].Label != "" || out[i].Probabilities != nil {
				t.Errorf("row %d: got %+v beside an error", i, out[i])
			}
			continue
		}
		if i >= len(want)+len(good) {
			near(t, fmt.Sprintf("row %d", i), out[i], out[len(want)+(i-len(want))%len(good)])
			continue
		}
		single, err := p.PredictBatch(ctx, []Request{r})
		if err != nil || out[i].Err != nil {
			t.Fatalf("row %d: %v, %v", i, err, out[i].Err)
		}
		near(t, fmt.Sprintf("row %d", i), out[i], single[0])
	}
	if st, err := p.Stats(ctx); err != nil || st.Sub(before).Predictions != int64(len(reqs)-len(want)+len(good)) {
		t.Errorf("got %d predictions (%v), want %d", st.Sub(before).Predictions, err, len(reqs)-len(want)+len(good))
	}
	if out, err := p.PredictBatch(ctx, nil); err != nil || len(out) != 0 {
		t.Errorf("got %v and %v for no requests, want nothing", out, err)
	}
	base := mustPredict(t, p, "nobody", "hello", PredictOptions{Fallback: FallbackBase, Pair: "you"})
	if base.Source != SourceBase || base.Revision != 0 || len(base.Probabilities) != 3 {
		t.Errorf("got %+v, want an answer of the base", base)
	}
	_, err = p.Predict(ctx, "", "hello", &PredictOptions{Fallback: FallbackBase})
	wantError(t, "Predict without an id", err, ErrID)
	for _, id := range []string{"", "shared"} {
		out, err := p.Predict(ctx, id, "hello", &PredictOptions{Base: true, Pair: "you"})
		if base.Profile = id; err != nil || !cmp.Equal(out, base) {
			t.Errorf("%q: got %+v, %v, want the base's %+v", id, out, err, base)
		}
	}
}

// otherBank is a bundle of one profile over another bank of the same encoder.
func otherBank(t *testing.T, b Bank, id string) (bundle []byte, want Prediction) {
	t.Helper()
	c := small(t)
	c.Bank, c.K = b, 2
	p := create(t, c)
	mustLearn(t, p, id, examples(12, 1), forced())
	var w bytes.Buffer
	if _, err := p.Export(context.Background(), &w, &ExportOptions{IncludeBank: true}); err != nil {
		t.Fatal(err)
	}
	return w.Bytes(), mustPredict(t, p, id, "server down")
}

// TestBanks has profiles over five banks, of four shapes, in one store and one batch.
func TestBanks(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "first", examples(12, 0), forced())
	want := map[string]Prediction{"first": mustPredict(t, p, "first", "server down")}
	for id, b := range map[string]Bank{
		"seed":   RandomBank{N: 12, Seed: 4, Bottleneck: 4},
		"narrow": RandomBank{N: 3, Seed: 4, Bottleneck: 2},
		"warm":   warm(t, 2, 6, 5),
		"relu":   pfeiffer(t),
	} {
		bundle, out := otherBank(t, b, id)
		if rep, err := p.Import(ctx, bytes.NewReader(bundle), nil); err != nil || rep.Banks != 1 {
			t.Fatalf("import of %s: got %+v and %v, want one new bank", id, rep, err)
		}
		want[id] = out
	}
	want[""] = Prediction{}
	base, err := p.PredictBatch(ctx, []Request{{Base: true, Text: "server down"}})
	if err != nil {
		t.Fatal(err)
	}
	want[""] = base[0]
	var reqs []Request
	for _, id := range []string{"narrow", "", "first", "warm", "", "relu", "seed", "narrow", "warm", "", "relu",
		"first"} {
		reqs = append(reqs, Request{Profile: id, Base: id == "", Text: "server down"})
	}
	out, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reqs {
		if out[i].Err != nil {
			t.Errorf("row %d: %v", i, out[i].Err)
		}
		near(t, fmt.Sprintf("row %d of %q", i, r.Profile), out[i], want[r.Profile])
	}
	// An imported profile goes on over its own bank, with its own K.
	if rep := mustLearn(t, p, "narrow", examples(12, 0), forced()); rep.Revision != 2 {
		t.Errorf("got %+v, want revision 2", rep)
	}
	info, err := p.Profile(ctx, "narrow")
	if err != nil || info.N != 3 || info.K != 2 {
		t.Errorf("got %+v (%v), want 2 of 3 adapters", info, err)
	}
}

func TestUnusualTexts(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(12, 0), forced())
	es := []Example{{Text: "\xff\xfea\x00", Label: "later"}, {Text: "[CLS] [SEP]", Pair: "[PAD]", Label: "later"},
		{Text: strings.Repeat("é\u0301", 20_000/4), Label: "ignore"},
		{Text: "…", Label: "ignore"}, {Text: "\u200ba", Label: "urgent"}}
	mustLearn(t, p, "alice", es, forced())
	stored, err := p.stored("alice")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(es, stored[12:]); d != "" {
		t.Errorf("stored examples (-want +got):\n%s", d)
	}
	for _, text := range []string{"\xff\xfea", "[CLS]", "[PAD] [PAD]", strings.Repeat("word ", 20_000),
		strings.Repeat("x", 100_000), "\x00a", "日本語", "\u202ea"} {
		out := mustPredict(t, p, "alice", text, PredictOptions{Pair: text})
		if p := out.Probabilities[0].P; p != p || out.Label == "" {
			t.Errorf("%.20q: got %+v, want an answer", text, out)
		}
	}
	for _, id := range []string{"ä", "a/b\x00c", strings.Repeat("x", 256), " "} {
		mustLearn(t, p, id, examples(6, 0), forced())
		if out := mustPredict(t, p, id, "x"); out.Profile != id || out.Revision != 1 {
			t.Errorf("%.20q: got %+v", id, out)
		}
		if err := p.Forget(ctx, id); err != nil {
			t.Error(err)
		}
	}
}

// TestNotFinite serves a profile that was made to overflow.
func TestNotFinite(t *testing.T) {
	ctx := context.Background()
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(24, 0), forced())
	rec, err := p.store.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	rec.ID = "mallory"
	for i := range rec.Affine {
		rec.Affine[i] = 127
	}
	for l := range 2 {
		binary.LittleEndian.PutUint32(rec.Affine[l*12:], math.Float32bits(math.MaxFloat32/300))
	}
	if _, err := p.store.Put(ctx, rec, store.Write{}); err != nil {
		t.Fatal(err)
	}
	out, err := p.PredictBatch(ctx, []Request{{Profile: "mallory", Text: "x"}, {Profile: "alice", Text: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if wantError(t, "mallory", out[0].Err, ErrCorrupt); out[0].Probabilities != nil || out[0].Label != "" {
		t.Errorf("got %+v beside an error", out[0])
	}
	if out[1].Err != nil {
		t.Errorf("alice: %v", out[1].Err)
	}
	near(t, "alice", out[1], mustPredict(t, p, "alice", "x"))
}

// TestAnotherFolder opens a copy of a folder: nothing in it depends on where it is.
func TestAnotherFolder(t *testing.T) {
	p := create(t, small(t))
	mustLearn(t, p, "alice", examples(12, 0), forced())
	want := mustPredict(t, p, "alice", "server down")
	var b bytes.Buffer
	if rep, err := p.Backup(context.Background(), &b, nil); err != nil || rep.Bytes != int64(b.Len()) {
		t.Fatalf("backup: got %+v of %d bytes and %v", rep, b.Len(), err)
	}
	dir := t.TempDir()
	if _, err := Restore(context.Background(), dir, nil, &b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, mustPredict(t, open(t, dir, &Options{Threads: 1}), "alice", "server down")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
