package model

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const subwordsDir = "testdata/subwords"

func unzip(tb testing.TB, name string) io.Reader {
	tb.Helper()
	f, err := os.Open(filepath.Join(subwordsDir, name))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

// subwordClasses are the classes of testdata's vocabularies.
var subwordClasses = map[string]string{"unigram": "XLMRobertaTokenizer", "bpe": "RobertaTokenizerFast"}

// subwordFolder is a folder with one of testdata's vocabularies, and old replaced by new in it.
func subwordFolder(tb testing.TB, name, old, new string) string {
	tb.Helper()
	b, err := io.ReadAll(unzip(tb, name+".json.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	file := string(b)
	if !strings.Contains(file, old) {
		tb.Fatalf("%s has no %s", name, old)
	}
	dir := tb.TempDir()
	writeFile(tb, dir, "tokenizer.json", strings.Replace(file, old, new, 1))
	writeFile(tb, dir, "tokenizer_config.json", `{"tokenizer_class":"`+subwordClasses[name]+`"}`)
	return dir
}

func subwordTokenizer(tb testing.TB, name string) *Tokenizer {
	tb.Helper()
	tok, err := LoadTokenizer(subwordFolder(tb, name, "", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// subwordLine is a text or a pair, a limit, and the CRC-32 of the ids that Hugging Face's Unigram
// and BPE give it.
type subwordLine struct {
	text, pair string
	limit      int
	sums       [2]uint32
}

func (l *subwordLine) UnmarshalJSON(b []byte) error {
	return json.Unmarshal(b, &[]any{&l.text, &l.pair, &l.limit, &l.sums[0], &l.sums[1]})
}

// TestSubwordLines: 10,000 lines in 24 scripts, and of odd characters, give Hugging Face's ids.
func TestSubwordLines(t *testing.T) {
	scanner := bufio.NewScanner(unzip(t, "lines.jsonl.gz"))
	toks, wrong, n := []*Tokenizer{subwordTokenizer(t, "unigram"), subwordTokenizer(t, "bpe")}, [2]int{}, 0
	for ; scanner.Scan(); n++ {
		var line subwordLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		for i, tok := range toks {
			var e Encoding
			tok.Encode(&e, line.text, line.pair, line.limit)
			var b []byte
			for _, id := range e.IDs {
				b = binary.LittleEndian.AppendUint32(b, uint32(id))
			}
			if crc32.ChecksumIEEE(b) != line.sums[i] {
				if wrong[i]++; wrong[i] < 4 {
					t.Errorf("%s: %q, %q, %d: got %v", tok.sub.kind, line.text, line.pair, line.limit, e.IDs)
				}
			}
		}
	}
	t.Logf("%v of %d lines differ", wrong, n)
	if n != 10_000 {
		t.Errorf("got %d lines, want 10000", n)
	}
}

// TestSubwordPairs: <s> a </s></s> b </s> without types; a limit keeps the special tokens.
func TestSubwordPairs(t *testing.T) {
	for name := range subwordClasses {
		tok := subwordTokenizer(t, name)
		var a, b, pair, cut Encoding
		tok.Encode(&a, "the tree", "", 0)
		tok.Encode(&b, "a river", "", 0)
		tok.Encode(&pair, "the tree", "a river", 0)
		want := append(append([]int32{}, a.IDs...), 2)
		want = append(want, b.IDs[1:]...)
		if diff := cmp.Diff(want, pair.IDs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(make([]int32, len(want)), pair.TypeIDs); diff != "" {
			t.Errorf("%s: types (-want +got):\n%s", name, diff)
		}
		tok.Encode(&cut, "the tree", "a river", MinTokens)
		if len(cut.IDs) != MinTokens || !cut.Truncated {
			t.Errorf("%s: got %v, %t, want %d ids", name, cut.IDs, cut.Truncated, MinTokens)
		}
	}
}

// TestSubwordVariants: older and newer spellings of the same settings.
func TestSubwordVariants(t *testing.T) {
	metaspace := `"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}`
	spaces := `{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}`
	for _, c := range []struct{ name, vocab, old, new, text, like string }{
		{"WhitespaceSplit", "unigram", metaspace,
			`"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "add_prefix_space": true}]}`,
			"  the  tree ", "the tree"},
		{"Strip", "unigram", spaces, `{"type": "Strip", "strip_left": false, "strip_right": true}`, "the tree \t ", "the tree"},
		{"added in normalised text", "unigram", `"content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false`,
			`"content": "</s>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": true`, "the＜/s＞  tree", "the</s>tree"},
		{"rstrip", "bpe", `"rstrip": false`, `"rstrip": true`, "a<s>  b", "a<s>b"},
		{"not UTF-8", "unigram", ``, ``, "a\xff\xc3b", "a\ufffd\ufffdb"},
		{"not UTF-8, BPE", "bpe", ``, ``, "a\xff\xc3b", "a\ufffd\ufffdb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := LoadTokenizer(subwordFolder(t, c.vocab, c.old, c.new))
			if err != nil {
				t.Fatal(err)
			}
			var got, want Encoding
			tok.Encode(&got, c.text, "", 0)
			tok.Encode(&want, c.like, "", 0)
			if diff := cmp.Diff(want.IDs, got.IDs); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

// TestSubwordsRefused: what is not computed is named.
func TestSubwordsRefused(t *testing.T) {
	for _, c := range []struct {
		vocab, old, new string
		want            error
		text            string
	}{
		{"unigram", `"unk_id": 3`, `"unk_id": null`, ErrUnsupported, "unk_id"},
		{"unigram", `"unk_id": 3`, `"unk_id": 99999`, ErrTokenizer, "unk_id 99999"},
		{"unigram", `"byte_fallback": false`, `"byte_fallback": true`, ErrUnsupported, "byte_fallback"},
		{"unigram", `"type": "Precompiled"`, `"type": "NFKC"`, ErrUnsupported, `"NFKC"`},
		{"unigram", `"Regex": " {2,}"`, `"Regex": "a"`, ErrUnsupported, `"Replace"`},
		{"unigram", `"precompiled_charsmap": "`, `"precompiled_charsmap": "!`, ErrTokenizer, "precompiled_charsmap"},
		{"unigram", `"precompiled_charsmap": "`, `"precompiled_charsmap": "AAAAAAAA`, ErrTokenizer, "precompiled_charsmap"},
		{"unigram", `"always"`, `"first"`, ErrUnsupported, "prepend_scheme"},
		{"unigram", `"split": true`, `"split": false`, ErrUnsupported, "split"},
		{"unigram", `"Metaspace"`, `"Whitespace"`, ErrUnsupported, `"Whitespace"`},
		{"unigram", `["▁", `, `["", `, ErrTokenizer, "empty"},
		{"unigram", `["▁", -`, `["▁", `, ErrTokenizer, "score"},
		{"unigram", `["▁", `, `["▁", "x`, ErrTokenizer, "tokenizer.json"},
		{"unigram", `"id": "B", "type_id": 0`, `"id": "B", "type_id": 1`, ErrUnsupported, "template"},
		{"unigram", `"TemplateProcessing"`, `"ByteLevel"`, ErrUnsupported, `"ByteLevel"`},
		{"unigram", `"single_word": false`, `"single_word": true`, ErrUnsupported, "single_word"},
		{"bpe", `"add_prefix_space": false`, `"add_prefix_space": true`, ErrUnsupported, "add_prefix_space"},
		{"bpe", `"use_regex": true`, `"use_regex": false`, ErrUnsupported, "use_regex"},
		{"bpe", `"normalizer": null`, `"normalizer": {"type": "NFC"}`, ErrUnsupported, `"NFC"`},
		{"bpe", `"dropout": null`, `"dropout": 0.1`, ErrUnsupported, "dropout"},
		{"bpe", `"end_of_word_suffix": null`, `"end_of_word_suffix": "</w>"`, ErrUnsupported, "end_of_word_suffix"},
		{"bpe", `"ignore_merges": false`, `"ignore_merges": true`, ErrUnsupported, "ignore_merges"},
		{"bpe", `"!": `, `"!!!": `, ErrTokenizer, `"!"`},
		{"bpe", `"merges": [`, `"merges": ["a", `, ErrTokenizer, "merge"},
		{"bpe", `"merges": [`, `"merges": [["a", "zzz"], `, ErrTokenizer, `"zzz"`},
	} {
		if _, err := LoadTokenizer(subwordFolder(t, c.vocab, c.old, c.new)); !errors.Is(err, c.want) ||
			!strings.Contains(err.Error(), c.text) {
			t.Errorf("%s, %s: got %v, want %v with %s", c.vocab, c.new, err, c.want, c.text)
		}
	}
}

// TestSubwordFolders: the class and the vocabulary must fit; what other tokenizers read may lie
// beside tokenizer.json.
func TestSubwordFolders(t *testing.T) {
	for _, c := range []struct{ vocab, name, content, text string }{
		{"unigram", "sentencepiece.bpe.model", "x", ""},
		{"bpe", "merges.txt", "x", ""},
		{"unigram", "tokenizer_config.json", `{"tokenizer_class":"PreTrainedTokenizerFast","do_lower_case":true}`, ""},
		{"unigram", "tokenizer_config.json", `{"tokenizer_class":"RobertaTokenizer"}`, "RobertaTokenizer"},
		{"bpe", "tokenizer_config.json", `{}`, `"BPE"`},
		{"unigram", "vocab.txt", "a\n", "vocab.txt"},
		{"unigram", "special_tokens_map.json", `{"unk_token":"[UNK]"}`, "unk_token"},
		{"bpe", "special_tokens_map.json", `{"cls_token":"<pad>"}`, "cls_token"},
	} {
		dir := subwordFolder(t, c.vocab, "", "")
		writeFile(t, dir, c.name, c.content)
		_, err := LoadTokenizer(dir)
		if (err == nil) != (c.text == "") || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s with %s %s: got %v, want %q", c.vocab, c.name, c.content, err, c.text)
		}
	}
	dir := t.TempDir()
	writeFile(t, dir, "sentencepiece.bpe.model", "x")
	if _, err := LoadTokenizer(dir); !errors.Is(err, ErrUnsupported) ||
		!strings.Contains(err.Error(), "sentencepiece.bpe.model") {
		t.Errorf("without tokenizer.json: got %v, want ErrUnsupported", err)
	}
}

// TestSubwordDigests: tokens, limits and settings are part of it.
func TestSubwordDigests(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, c := range []struct{ vocab, old, new string }{
		{"unigram", "", ""}, {"bpe", "", ""}, {"unigram", `["▁", -`, `["▁", -1`},
		{"unigram", `"content": " "`, `"content": "▁"`}, {"unigram", `"lstrip": false`, `"lstrip": true`},
		{"unigram", `"normalized": false`, `"normalized": true`}, {"bpe", `"merges": [`, `"merges": [["!", "!"], `},
	} {
		if c.vocab == "bpe" && c.new != "" {
			c.old, c.new = `"merges": [[`, `"merges": [["Ġ", "a"], [`
		}
		tok, err := LoadTokenizer(subwordFolder(t, c.vocab, c.old, c.new))
		if err != nil {
			t.Fatal(err)
		}
		d := tok.Digest(128)
		if before, ok := seen[d]; ok || d == tok.Digest(64) {
			t.Errorf("%s %s: got the digest of %q, or one for two limits", c.vocab, c.new, before)
		}
		seen[d] = c.vocab + c.new
	}
}

// TestSubwordWords: whole words, without what stands for the space before them.
func TestSubwordWords(t *testing.T) {
	for name := range subwordClasses {
		tok := subwordTokenizer(t, name)
		words := tok.Words()
		if len(words) < 100 || tok.FoldsCase() {
			t.Errorf("%s: got %d words, folded %t", name, len(words), tok.FoldsCase())
		}
		for _, w := range words {
			if strings.IndexFunc(w, notLetter) >= 0 {
				t.Fatalf("%s: got the word %q", name, w)
			}
		}
	}
}

func TestSubwordAllocations(t *testing.T) {
	for name := range subwordClasses {
		tok := subwordTokenizer(t, name)
		var e Encoding
		encode := func() { tok.Encode(&e, thirtyWords, "naïve café — 你好", 48) }
		encode()
		if got := testing.AllocsPerRun(100, encode); got > 6 {
			t.Errorf("%s: got %g allocations, want a few", name, got)
		}
	}
}

func BenchmarkSubwords(b *testing.B) {
	for name := range subwordClasses {
		tok := subwordTokenizer(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var e Encoding
			for b.Loop() {
				tok.Encode(&e, thirtyWords, "", 128)
			}
		})
	}
}

// TestUnknown: characters that a vocabulary lacks are counted, and special tokens are not; bytes
// leave nothing unknown.
func TestUnknown(t *testing.T) {
	for name, want := range map[string][2]bool{"unigram": {false, true}, "bpe": {false, false}} {
		tok := subwordTokenizer(t, name)
		for i, text := range []string{"the", "the \U000F0000"} {
			var e Encoding
			tok.Encode(&e, text, text, 64)
			if unknown, of := tok.Unknown(&e); unknown > 0 != want[i] || of != len(e.IDs)-4 {
				t.Errorf("%s of %q: got %d of %d tokens unknown", name, text, unknown, of)
			}
		}
	}
}
