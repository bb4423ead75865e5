package sdk

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/internal/safetensors"
)

// invisibles are texts of nothing visible.
var invisibles = map[string]string{
	"empty": "", "spaces": " \t\r\n", "no-break spaces": "\u00a0\u3000\u2003", "zero-width spaces": "\u200b\u200b",
	"byte order mark": "\ufeff", "joiners": "\u200d\u2060\u200c",
	"control characters": "\x00\x07\x1b\x7f", "soft hyphens": "\u00ad\u00ad", "directions": "\u202e\u2066\u200f",
	"marks alone": "\u0301\u0308", "variation selectors": "\ufe0f\U000e0101",
	"tags": "\U000e0061\U000e007f", "Hangul fillers": "\u3164\u115f\uffa0", "Braille's blank": "\u2800",
	"line separators": "\u2028\u2029\u0085", "private use": "\ue000\U000f0000",
	"not UTF-8": "\xff\xfe\x80", "replacement": "\ufffd", "an object's place": "\ufffc",
	"Mongolian separator": "\u180e", "keycap alone": "\u20e3", "joined": "\u034f", "noncharacters": "\ufdd0\uffff",
}

// visibles are texts of one visible thing among what is not.
var visibles = map[string]string{
	"letter": "a", "digit": "0", "point": ".", "quote": "´", "Han": "你", "emoji": "👍", "flag": "🇩🇪",
	"family": "👨\u200d👩\u200d👧", "heart": "❤\ufe0f", "skin": "🏽", "keycap": "1\ufe0f\u20e3",
	"accent on a letter": "e\u0301", "letter among marks": "\u200b\u0301 x\u00ad", "Arabic": "س",
	"Thai with marks": "ที่", "jamo": "ㄱ", "Braille": "⠃", "currency": "€", "emoji of a later Unicode": "\U0001faff",
}

func TestVisible(t *testing.T) {
	for name, text := range invisibles {
		if visible(text) {
			t.Errorf("%s, %q: got visible, want not", name, text)
		}
	}
	for name, text := range visibles {
		if !visible(text) {
			t.Errorf("%s, %q: got not visible, want visible", name, text)
		}
	}
}

// TestInvisibleTexts: no call answers, learns or stores a text of nothing visible.
func TestInvisibleTexts(t *testing.T) {
	p, ctx := create(t, small(t)), context.Background()
	for name, text := range invisibles {
		_, err := p.Predict(ctx, "dana", text, &PredictOptions{Fallback: FallbackBase})
		wantError(t, "Predict: "+name, err, ErrExample)
		rows, err := p.PredictBatch(ctx, []Request{{Base: true, Text: text}, {Base: true, Text: "server"}})
		if err != nil || rows[1].Err != nil {
			t.Fatalf("%s: got %v, %v, want an error of the first row only", name, err, rows)
		}
		wantError(t, "PredictBatch: "+name, rows[0].Err, ErrExample)
		_, err = p.Learn(ctx, "dana", []Example{{Text: "server", Label: "urgent"}, {Text: text, Label: "later"}},
			quick())
		wantError(t, "Learn: "+name, err, ErrExample)
		wantError(t, "Observe: "+name, p.Observe(ctx, "dana", Example{Text: text, Label: "later"}), ErrExample)
		if text != "" {
			_, err = p.Predict(ctx, "nobody", "server", &PredictOptions{Pair: text, Fallback: FallbackBase})
			wantError(t, "Predict a pair: "+name, err, ErrExample)
		}
	}
	_, err := p.Profile(ctx, "dana")
	wantError(t, "Profile", err, ErrProfileNotFound)
	for name, text := range visibles {
		if _, err := p.Predict(ctx, "nobody", text, &PredictOptions{Fallback: FallbackBase}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTruncated: an answer to a part of a text, and a Learn from parts, say so.
func TestTruncated(t *testing.T) {
	p, ctx := create(t, small(t)), context.Background() // 24 tokens
	fits, long := strings.Repeat("server ", 22), strings.Repeat("server ", 23)
	for _, c := range []struct {
		text, pair string
		want       bool
	}{{fits, "", false}, {long, "", true}, {"server", strings.Repeat("down ", 20), false},
		{"server", strings.Repeat("down ", 21), true}} {
		got, err := p.Predict(ctx, "nobody", c.text, &PredictOptions{Pair: c.pair, Fallback: FallbackBase})
		if err != nil || got.Truncated != c.want {
			t.Errorf("%d and %d bytes: got %t, %v, want %t", len(c.text), len(c.pair), got.Truncated, err, c.want)
		}
	}
	examples := []Example{{Text: fits, Label: "urgent"}, {Text: long, Label: "urgent"},
		{Text: long + "down", Label: "later"}, {Text: "invoice", Label: "later"}}
	for _, id := range []string{"dana", "erin"} { // what is trained on and what is kept back both count
		rep, err := p.Learn(ctx, id, examples, quick())
		if err != nil {
			t.Fatal(err)
		}
		if rep.Truncated != 2 || rep.Examples != 4 {
			t.Errorf("%s: got %d of %d truncated, want 2 of 4", id, rep.Truncated, rep.Examples)
		}
	}
}

// linked is the tiny model with other files beside it, or in its files' place.
func linked(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors", "vocab.txt", "1_Pooling"} {
		if _, ok := files[name]; ok {
			continue
		}
		if err := os.Symlink(filepath.Join(tinyModel(t), name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestMaxTokensDefault: a new store takes the limit of the model's own files, and keeps it.
func TestMaxTokensDefault(t *testing.T) {
	c := small(t)
	c.MaxTokens = 0
	c.Model = linked(t, map[string]string{"sentence_bert_config.json": `{"max_seq_length":40}`,
		"tokenizer_config.json": `{"model_max_length":50}`})
	p := create(t, c)
	if p.maxTokens != 40 {
		t.Errorf("got %d tokens, want 40", p.maxTokens)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p = open(t, p.dir, &Options{Model: tinyModel(t), Device: device()}); p.maxTokens != 40 {
		t.Errorf("opened over a folder that says nothing: got %d tokens, want 40", p.maxTokens)
	}
}

// TestOneTokenType: a model with one type of tokens answers and learns texts, and refuses pairs.
func TestOneTokenType(t *testing.T) {
	f, err := safetensors.Open(filepath.Join(tinyModel(t), "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := append([]safetensors.Tensor(nil), f.Tensors()...)
	for i, x := range tensors {
		if x.Name == "embeddings.token_type_embeddings.weight" {
			tensors[i].Shape, tensors[i].Data = []int64{1, tinyD}, x.Data[:4*tinyD]
		}
	}
	var weights bytes.Buffer
	if err := safetensors.Write(&weights, tensors, nil); err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(tinyModel(t), "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := small(t), context.Background()
	c.Model = linked(t, map[string]string{"model.safetensors": weights.String(),
		"config.json": strings.Replace(string(config), `"type_vocab_size":2`, `"type_vocab_size":1`, 1)})
	p, two := create(t, c), create(t, small(t))
	got, err := p.Predict(ctx, "nobody", "server down", &PredictOptions{Fallback: FallbackBase})
	want, err2 := two.Predict(ctx, "nobody", "server down", &PredictOptions{Fallback: FallbackBase})
	if err != nil || err2 != nil || got.Label != want.Label || got.Probabilities[0] != want.Probabilities[0] {
		t.Errorf("a text: got %v, %v, want what the model of two types says, %v, %v", got, err, want, err2)
	}
	if _, err := p.Learn(ctx, "dana", []Example{{Text: "server", Label: "urgent"}}, quick()); err != nil {
		t.Error(err)
	}
	_, err = p.Predict(ctx, "dana", "server", &PredictOptions{Pair: "down"})
	wantError(t, "Predict", err, ErrUnsupported)
	pair := Example{Text: "server", Pair: "down", Label: "urgent"}
	_, err = p.Learn(ctx, "dana", []Example{pair}, quick())
	wantError(t, "Learn", err, ErrUnsupported)
	wantError(t, "Observe", p.Observe(ctx, "dana", pair), ErrUnsupported)
}

// TestUnknown: labels and examples in a script that the model does not know are said to be.
func TestUnknown(t *testing.T) {
	c := small(t)
	var made CreateReport
	c.Labels, c.Report = []string{"urgent", "дела"}, func(r CreateReport) { made = r }
	p := create(t, c)
	if made.Unknown <= 0 || made.Unknown >= 1 {
		t.Errorf("labels: got a share of %g, want some", made.Unknown)
	}
	for text, want := range map[string][2]float64{"server": {0, 0}, "привет": {1, 1}, "server привет": {0.1, 0.9}} {
		rep := mustLearn(t, p, text, []Example{{Text: text, Label: "urgent"},
			{Text: text + " " + text, Label: "дела"}}, forced())
		if rep.Unknown < want[0] || rep.Unknown > want[1] {
			t.Errorf("%q: got a share of %g, want %g to %g", text, rep.Unknown, want[0], want[1])
		}
	}
}
