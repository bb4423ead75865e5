package model

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// modelDir is the folder of all-MiniLM-L6-v2. A test that needs it fails without it: golden vectors
// are never skipped.
func modelDir(tb testing.TB) string {
	tb.Helper()
	dir := os.Getenv("XPEFT_MODEL")
	if dir == "" {
		tb.Fatal(`XPEFT_MODEL is not set: run "make test", or eval "$(scripts/env.sh)" first`)
	}
	return dir
}

func realTokenizer(tb testing.TB) *Tokenizer {
	tb.Helper()
	t, err := LoadTokenizer(modelDir(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

type goldenText struct {
	Text      string  `json:"text"`
	Pair      string  `json:"pair"`
	MaxLength int     `json:"max_length"`
	IDs       []int32 `json:"ids"`
	TypeIDs   []int32 `json:"type_ids"`

	Normalizer json.RawMessage `json:"normalizer"` // of odd.jsonl.gz
}

func readGolden(tb testing.TB, path string) (rows []goldenText) {
	tb.Helper()
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	dec := json.NewDecoder(bufio.NewReader(z))
	for dec.More() {
		var row goldenText
		if err := dec.Decode(&row); err != nil {
			tb.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

var goldenFile = filepath.Join("..", "testdata", "golden", "tokenizer.jsonl.gz")

func TestTokenizerGolden(t *testing.T) {
	tok := realTokenizer(t)
	rows := readGolden(t, goldenFile)
	if len(rows) != 699 {
		t.Fatalf("got %d rows, want 699", len(rows))
	}
	wrong := checkGolden(t, tok, rows)
	t.Logf("%d of %d rows differ", wrong, len(rows))
}

func checkGolden(t *testing.T, tok *Tokenizer, rows []goldenText) (wrong int) {
	t.Helper()
	var e Encoding
	for _, row := range rows {
		tok.Encode(&e, row.Text, row.Pair, row.MaxLength)
		types := row.TypeIDs
		if types == nil {
			types = make([]int32, len(row.IDs))
		}
		if !slices.Equal(e.IDs, row.IDs) || !slices.Equal(e.TypeIDs, types) {
			wrong++
			t.Errorf("%q, %q, %d:\ngot  %v %v\nwant %v %v", row.Text, row.Pair, row.MaxLength, e.IDs, e.TypeIDs,
				row.IDs, types)
		}
	}
	return wrong
}

// TestTruncation: a limit gives the beginning of the whole, with [SEP] behind it.
func TestTruncation(t *testing.T) {
	tok := realTokenizer(t)
	var whole, cut Encoding
	for _, row := range readGolden(t, goldenFile) {
		if row.Pair != "" {
			continue
		}
		tok.Encode(&whole, row.Text, "", 0)
		for limit := 2; limit < len(whole.IDs); limit++ {
			tok.Encode(&cut, row.Text, "", limit)
			want := append(slices.Clone(whole.IDs[:limit-1]), tok.sep)
			if !slices.Equal(cut.IDs, want) || len(cut.TypeIDs) != limit {
				t.Fatalf("%q to %d: got %v, want %v", row.Text, limit, cut.IDs, want)
			}
		}
	}
}

func TestLongestFirst(t *testing.T) {
	for _, c := range []struct{ n, m, room, wantN, wantM int }{
		{3, 4, 7, 3, 4},
		{3, 9, 8, 3, 5},
		{9, 3, 8, 5, 3},
		{9, 8, 7, 4, 3},
		{8, 9, 7, 3, 4},
		{9, 9, 7, 3, 4},
		{9, 9, 8, 4, 4},
		{0, 9, 3, 0, 3},
		{9, 0, 3, 3, 0},
		{4, 9, 7, 3, 4},
		{1, 1, 1, 0, 1},
		{5, 5, 0, 0, 0},
	} {
		if n, m := longestFirst(c.n, c.m, c.room); n != c.wantN || m != c.wantM {
			t.Errorf("%d and %d in %d: got %d and %d, want %d and %d", c.n, c.m, c.room, n, m, c.wantN, c.wantM)
		}
	}
}

// TestVocabFolder: vocab.txt and the default settings give the same tokenizer, and the same digest,
// as tokenizer.json.
func TestVocabFolder(t *testing.T) {
	want := realTokenizer(t)
	dir := t.TempDir()
	b, err := os.ReadFile(filepath.Join(modelDir(t), "vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "vocab.txt", string(b))
	got, err := LoadTokenizer(dir)
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, got, readGolden(t, goldenFile))
	if got.Digest(128) != want.Digest(128) {
		t.Error("got another digest than tokenizer.json's, want the same")
	}
	if got.Digest(128) == got.Digest(64) {
		t.Error("got the same digest for 128 and 64 tokens, want two")
	}
	if got.VocabSize() != 30522 {
		t.Errorf("got %d tokens, want 30522", got.VocabSize())
	}
}

func writeFile(tb testing.TB, dir, name, text string) {
	tb.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// smallVocab has a few words in both cases, with and without accents. Its ids are the positions
// here.
var smallVocab = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "café", "Cafe", "Café", "un",
	"##able", "##s", "!", "你", "i̇", "你好", "a", "##a"}

func smallTokenizer(tb testing.TB, config string) *Tokenizer {
	tb.Helper()
	dir := tb.TempDir()
	writeFile(tb, dir, "vocab.txt", strings.Join(smallVocab, "\n")+"\n")
	fields := map[string]any{"do_lower_case": true} // which a vocabulary of both cases needs
	if config != "" {
		if err := json.Unmarshal([]byte(config), &fields); err != nil {
			tb.Fatal(err)
		}
	}
	b, err := json.Marshal(fields)
	if err != nil {
		tb.Fatal(err)
	}
	writeFile(tb, dir, "tokenizer_config.json", string(b))
	t, err := LoadTokenizer(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestFlags(t *testing.T) {
	cases := []struct{ name, config, text, want string }{
		{"uncased", `{}`, "Café CAFE", "cafe cafe"},
		{"cased", `{"do_lower_case":false}`, "Café Cafe café CAFE", "Café Cafe café [UNK]"},
		{"cased, no accents", `{"do_lower_case":false,"strip_accents":true}`, "Café café", "Cafe cafe"},
		{"uncased, accents", `{"strip_accents":false}`, "Café İ", "café i̇"},
		{"pieces", ``, "unables! unx", "un ##able ##s ! [UNK]"},
		{"Chinese apart", ``, "你好", "你 [UNK]"},
		{"Chinese together", `{"tokenize_chinese_chars":false}`, "你好", "你好"},
		{"special", ``, "a[MASK]a [mask]", "a [MASK] a [UNK] [UNK] [UNK]"},
		{"control", ``, "c\x00a\u200bf\u00ade", "cafe"},
		{"not UTF-8", ``, "ca\xfffe\xc3", "cafe"},
		{"long word", ``, strings.Repeat("a", 101) + " a", "[UNK] a"},
		{"100 characters", ``, strings.Repeat("a", 100), "a" + strings.Repeat(" ##a", 99)},
		{"other names", `{"unk_token":{"content":"[MASK]"},"mask_token":null}`, "zz", "[MASK]"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var e Encoding
			smallTokenizer(t, c.config).Encode(&e, c.text, "", 0)
			var got []string
			for _, id := range e.IDs[1 : len(e.IDs)-1] {
				got = append(got, smallVocab[id])
			}
			if diff := cmp.Diff(strings.Fields(c.want), got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

// TestAddedTokens: the leftmost, of several the longest; ids beyond the vocabulary count in its
// size.
func TestAddedTokens(t *testing.T) {
	added := `{"added_tokens_decoder":{"2":{"content":"[CLS]"},"40":{"content":"<a>"},"41":{"content":"<a><b>"},"42":{"content":"b>"}}}`
	tok := smallTokenizer(t, added)
	if got := tok.VocabSize(); got != 43 {
		t.Errorf("VocabSize: got %d, want 43", got)
	}
	var e Encoding
	tok.Encode(&e, "a<a><b> <a><b <b>a", "", 0)
	if diff := cmp.Diff([]int32{2, 16, 41, 40, 1, 1, 1, 42, 16, 3}, e.IDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEncodeConcurrent(t *testing.T) {
	tok := realTokenizer(t)
	rows := readGolden(t, goldenFile)
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			checkGolden(t, tok, rows)
		}()
	}
	wg.Wait()
}

func TestEncodeAllocations(t *testing.T) {
	tok := realTokenizer(t)
	var e Encoding
	encode := func() { tok.Encode(&e, thirtyWords, "naïve café — 你好", 48) }
	encode()
	// One is for the race detector, under which a sync.Pool forgets on purpose.
	if got := testing.AllocsPerRun(100, encode); got > 1 {
		t.Errorf("got %g allocations, want none", got)
	}
}

func TestLoadTokenizerErrors(t *testing.T) {
	if _, err := LoadTokenizer(t.TempDir()); !errors.Is(err, ErrTokenizer) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: got %v, want ErrTokenizer and ErrNotExist", err)
	}
	vocab := strings.ToLower(strings.Join(smallVocab[5:], "\n"))
	vocab = strings.Join(smallVocab[:5], "\n") + "\n" + vocab
	cases := []struct {
		name  string
		files map[string]string
		want  error
		text  string
	}{
		{"no [CLS]", map[string]string{"vocab.txt": "[UNK]\n[SEP]\na"}, ErrTokenizer, `"[CLS]"`},
		{"empty", map[string]string{"vocab.txt": ""}, ErrTokenizer, "special token"},
		{"not UTF-8", map[string]string{"vocab.txt": "[UNK]\n\xff"}, ErrTokenizer, "UTF-8"},
		{"class", map[string]string{"vocab.txt": vocab,
			"tokenizer_config.json": `{"tokenizer_class":"RobertaTokenizer"}`}, ErrUnsupported, "RobertaTokenizer"},
		{"flag", map[string]string{"vocab.txt": vocab, "tokenizer_config.json": `{"do_lower_case":"yes"}`},
			ErrTokenizer, "do_lower_case"},
		{"token", map[string]string{"vocab.txt": vocab, "tokenizer_config.json": `{"unk_token":5}`}, ErrTokenizer,
			"unk_token"},
		{"config", map[string]string{"vocab.txt": vocab, "tokenizer_config.json": `[`}, ErrTokenizer,
			"tokenizer_config.json"},
		{"added file", map[string]string{"vocab.txt": vocab, "added_tokens.json": `{"x":1}`}, ErrUnsupported,
			"added_tokens.json"},
		{"added id", map[string]string{"vocab.txt": vocab,
			"tokenizer_config.json": `{"added_tokens_decoder":{"x":{"content":"y"}}}`}, ErrTokenizer, `"x"`},
		{"added clash", map[string]string{"vocab.txt": vocab,
			"tokenizer_config.json": `{"added_tokens_decoder":{"9":{"content":"[CLS]"}}}`}, ErrTokenizer, "want 2"},
		{"normalized", map[string]string{"vocab.txt": vocab,
			"tokenizer_config.json": `{"added_tokens_decoder":{"99":{"content":"y","normalized":true}}}`},
			ErrUnsupported, `"y"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.files {
				writeFile(t, dir, name, text)
			}
			if _, err := LoadTokenizer(dir); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %s", err, c.want, c.text)
			}
		})
	}
}

const thirtyWords = "The committee said on Tuesday that it would not publish the remaining documents before the " +
	"end of the " +
	"year, because several witnesses had asked for more time to answer their questions."

func BenchmarkEncode(b *testing.B) {
	tok := realTokenizer(b)
	for _, c := range []struct{ name, text string }{
		{"30 words", thirtyWords},
		{"30 words, quotes", strings.ReplaceAll(thirtyWords, "'", "’") + " “Why?”"},
		{"30 words, accents", strings.ReplaceAll(thirtyWords, "e", "é")},
		{"100 Han", strings.Repeat("你好世界。", 20)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var e Encoding
			for b.Loop() {
				tok.Encode(&e, c.text, "", 128)
			}
		})
	}
}

func BenchmarkLoadTokenizer(b *testing.B) {
	dir := modelDir(b)
	for b.Loop() {
		if _, err := LoadTokenizer(dir); err != nil {
			b.Fatal(err)
		}
	}
}

func TestWords(t *testing.T) {
	tok := realTokenizer(t)
	words := tok.Words()
	if len(words) < 20_000 || len(words) > 23_000 {
		t.Errorf("got %d words, want most of the 23,000 tokens that begin one", len(words))
	}
	for _, w := range []string{"the", "queen", "über"} {
		if _, ok := tok.lookup(w); ok != slices.Contains(words, w) {
			t.Errorf("%q: got it %v, in the vocabulary %v", w, !ok, ok)
		}
	}
	last := int32(-1)
	for _, w := range words {
		id, ok := tok.lookup(w)
		if !ok || id <= last || strings.ContainsAny(w, "[]#0123456789 ") {
			t.Fatalf("%q: got id %d after %d, want words only, by id", w, id, last)
		}
		last = id
	}
}
