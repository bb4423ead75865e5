package sdk

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEmbedIsTheEncoders(t *testing.T) {
	ctx := context.Background()
	for _, masks := range []bool{true, false} {
		c := small(t)
		c.Masks = masks
		p := create(t, c)
		texts := []string{"server down", "please review the draft invoice", "win a free phone", "server down"}
		got, err := p.Embed(ctx, texts)
		if err != nil {
			t.Fatal(err)
		}
		want, err := p.pooled(ctx, p.encodeTexts(texts))
		if err != nil {
			t.Fatal(err)
		}
		for i := range texts {
			if !cmp.Equal(got[i], p.row(want, i)) {
				t.Errorf("masks %t: text %d: got %.4v…, want %.4v…", masks, i, got[i][:4], p.row(want, i)[:4])
			}
		}
		if s, _ := p.Stats(ctx); s.Predictions != 0 {
			t.Errorf("got %d predictions counted, want 0", s.Predictions)
		}
	}
}

func TestEmbedRefuses(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Options.Limits.Text = 20
	p := create(t, c)
	for _, test := range []struct {
		texts []string
		want  error
		name  string
	}{
		{[]string{"server", " "}, ErrExample, "text 1"},
		{[]string{""}, ErrExample, "text 0"},
		{[]string{strings.Repeat("a", 21)}, ErrLimit, "Text is 20"},
	} {
		out, err := p.Embed(ctx, test.texts)
		if out != nil || !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.name) {
			t.Errorf("%q: got %v, %v, want %v of %s", test.texts, out, err, test.want, test.name)
		}
	}
	if out, err := p.Embed(ctx, nil); len(out) != 0 || err != nil {
		t.Errorf("no texts: got %v, %v", out, err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := p.Embed(ended, []string{"server"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	p.Close()
	if _, err := p.Embed(ctx, []string{"server"}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

// Embeds and Predicts at once share passes, and each text gets what it gets alone.
func TestEmbedBesidePredict(t *testing.T) {
	ctx := context.Background()
	c := small(t)
	c.Options.Workers = 1
	p := create(t, c)
	mustLearn(t, p, "alice", examples(12, 0), quick())
	alone, err := p.Embed(ctx, []string{"server down"})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.Predict(ctx, "alice", "server down", nil)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Add(2)
		go func() {
			defer all.Done()
			for n := range 20 {
				texts := append(make([]string, 0, n+1), "server down")
				for k := range n {
					texts = append(texts, fmt.Sprint("draft ", k))
				}
				if got, err := p.Embed(ctx, texts); err != nil || !cmp.Equal(got[0], alone[0]) {
					t.Errorf("got another embedding than alone, %v", err)
				}
			}
		}()
		go func() {
			defer all.Done()
			for range 20 {
				if got, err := p.Predict(ctx, "alice", "server down", nil); err != nil || !cmp.Equal(got, answer) {
					t.Errorf("got %v, %v, want %v", got, err, answer)
				}
			}
		}()
	}
	all.Wait()
}
