package sdk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xpeft/xpeft/model"
)

// windowed is a folder of digits over the tiny model, in which a text is read in n windows of 24
// tokens.
func windowed(t testing.TB, n int) *Folder {
	c := small(t)
	c.Masks, c.Windows = false, n
	return create(t, c)
}

// late are texts that differ behind their first 40 tokens, and are learned so.
func late(n int) (es []Example) {
	for i := range n {
		tail, label := "server down", "urgent"
		if i%2 > 0 {
			tail, label = "invoice draft", "later"
		}
		es = append(es, Example{Text: strings.Repeat("free phone ", 20) + strings.Repeat("please ", i/2) + tail,
			Label: label})
	}
	return es
}

// TestWindows: what comes after MaxTokens is learned and answered in a folder of windows, and not
// in another; what comes after its windows is cut off, and said to be.
func TestWindows(t *testing.T) {
	ctx := context.Background()
	cut, p := windowed(t, 0), windowed(t, 4)
	es := late(24)
	for _, p := range []*Folder{cut, p} {
		rep := mustLearn(t, p, "ann", es, &LearnOptions{Force: true})
		a, b := mustPredict(t, p, "ann", es[22].Text, PredictOptions{NoTaught: true}),
			mustPredict(t, p, "ann", es[23].Text, PredictOptions{NoTaught: true})
		if all := p == cut; a.Truncated != all || (rep.Truncated == len(es)) != all ||
			cmp.Equal(a.Probabilities, b.Probabilities) != all || (rep.After.Accuracy == 1) == all {
			t.Errorf("%d windows: got %+v and %+v, %d of %d cut off, accuracy %g", p.options.windows, a, b, rep.Truncated,
				len(es), rep.After.Accuracy)
		}
	}
	for _, p := range []*Folder{cut, p} {
		xs, err := p.Embed(ctx, []string{es[22].Text, es[23].Text})
		r, err2 := p.Rank(ctx, "ann", "", []string{es[22].Text, es[23].Text}, nil)
		if err := errors.Join(err, err2); err != nil || slices.Equal(xs[0], xs[1]) != (p == cut) ||
			r.Truncated != (p == cut) {
			t.Errorf("%d windows: embeddings %v, cut off %t, %v", p.options.windows, xs, r.Truncated, err)
		}
	}
	if got := mustPredict(t, p, "ann", es[23].Text); got.Source != SourceTaught {
		t.Errorf("a taught text of several windows: got %+v", got)
	}
	if got := mustPredict(t, p, "ann", strings.Repeat("free ", 100)); !got.Truncated {
		t.Error("a text of more windows than are read is not said to be cut off")
	}
	var reqs []Request
	for _, e := range es {
		reqs = append(reqs, Request{Profile: "ann", Text: e.Text, NoTaught: true},
			Request{Profile: "ann", Text: "server down", Pair: e.Text})
	}
	together, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range reqs {
		alone := mustPredict(t, p, "ann", r.Text, PredictOptions{Pair: r.Pair, NoTaught: true})
		if d := cmp.Diff(alone, together[i]); d != "" {
			t.Errorf("request %d among others (-alone +among):\n%s", i, d)
		}
	}
	for _, kind := range []HeadKind{OwnHead, NumberHead} {
		es := slices.Clone(es)
		for i := range es {
			if kind == NumberHead {
				es[i].Label, es[i].Value = "", Number(float64(i%2))
			}
		}
		o := forced()
		o.Head = kind
		if mustLearn(t, p, string(kind), es, o); cmp.Equal(mustPredict(t, p, string(kind), es[22].Text),
			mustPredict(t, p, string(kind), es[23].Text)) {
			t.Errorf("%s: the same answer to texts that differ late", kind)
		}
	}
}

// TestWindowsStay: a folder keeps how many windows it reads, and takes in no bundle of another
// number.
func TestWindowsStay(t *testing.T) {
	ctx := context.Background()
	p, es := windowed(t, 3), late(24)
	mustLearn(t, p, "ann", es, nil)
	want := mustPredict(t, p, "ann", es[23].Text, PredictOptions{NoTaught: true})
	var bundle bytes.Buffer
	if _, err := p.Export(ctx, &bundle, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, p.dir, nil)
	if got := mustPredict(t, p, "ann", es[23].Text, PredictOptions{NoTaught: true}); !cmp.Equal(got, want) {
		t.Errorf("opened again: got %+v, want %+v", got, want)
	}
	moved := filepath.Join(t.TempDir(), "moved")
	for _, err := range p.Move(ctx, moved, &MoveOptions{Model: tinyModel(t), MaxTokens: 16, Windows: 2}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := open(t, moved, nil).options.windows; got != 2 {
		t.Errorf("moved to a folder of %d windows, want 2", got)
	}
	if got := p.engine.Name(); got != "native" {
		t.Errorf("texts of several windows are for the native engine, not for %s", got)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(ctx, p.dir, &Options{Device: "cuda"})
	wantError(t, "on a GPU", err, ErrUnsupported)
	for _, n := range []int{0, 1, 2, 4} {
		var m *MismatchError
		_, err := windowed(t, n).Import(ctx, bytes.NewReader(bundle.Bytes()), nil)
		if !errors.Is(err, ErrMismatch) || !errors.As(err, &m) || m.What != "tokenizer" {
			t.Errorf("a bundle of 3 windows in a folder of %d: got %v", n, err)
		}
	}
	if _, err := windowed(t, 3).Import(ctx, bytes.NewReader(bundle.Bytes()), nil); err != nil {
		t.Errorf("a bundle of as many windows: %v", err)
	}
	if a, b := windowed(t, 0).store.Meta(), windowed(t, 1).store.Meta(); a.Tokenizer != b.Tokenizer ||
		!cmp.Equal(a.Extra, b.Extra) {
		t.Errorf("one window is not as none: %+v and %+v", a, b)
	}
}

// TestWindowsRefused: numbers of windows that are none, and models whose masks cannot be learned
// over several.
func TestWindowsRefused(t *testing.T) {
	for _, n := range []int{-1, MaxWindows + 1} {
		c := small(t)
		c.Windows = n
		_, err := Create(context.Background(), t.TempDir(), c)
		wantError(t, "windows", err, ErrConfig)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(tinyModel(t))); err != nil {
		t.Fatal(err)
	}
	cls := []byte(`{"word_embedding_dimension":32,"pooling_mode_cls_token":true}`)
	if err := os.WriteFile(filepath.Join(dir, "1_Pooling", "config.json"), cls, 0o666); err != nil {
		t.Fatal(err)
	}
	c := small(t)
	c.Model, c.Windows = dir, 2
	_, err := Create(context.Background(), filepath.Join(t.TempDir(), "store"), c)
	wantError(t, "masks over [CLS]", err, ErrUnsupported)
	c.Masks = false
	if p := create(t, c); p.encoder.Pooling() != model.PoolCLS {
		t.Errorf("the model pools by %v: the test could not fail", p.encoder.Pooling())
	}
}
