package fuzz

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xpeft/xpeft/model"
)

const smallUnigram = `{"added_tokens":[{"id":0,"content":"<s>"},{"id":4,"content":"<m>","lstrip":true,"rstrip":true,"normalized":true}],` +
	`"normalizer":{"type":"Sequence","normalizers":[{"type":"Precompiled","precompiled_charsmap":"DAAAAAAEAAAAAAAAAAAAAGEAYgAA"},` +
	`{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]},` +
	`"pre_tokenizer":{"type":"Metaspace","replacement":"▁","add_prefix_space":true},` +
	`"post_processor":{"type":"RobertaProcessing","sep":["</s>",1],"cls":["<s>",0]},` +
	`"model":{"type":"Unigram","unk_id":2,"vocab":[["<s>",0],["</s>",0],["<unk>",0],["▁",-1.5],["<m>",0],["a",-2],["▁a",-2.5],["aé",-9]]}}`

// smallBPE has the 256 bytes and two merges, in both spellings.
func smallBPE() string {
	vocab := map[string]int32{"<s>": 300, "</s>": 301, "aa": 302, "aaa": 303}
	for r := rune(0x21); r < 0x144; r++ {
		vocab[string(r)] = r - 0x21
	}
	b, _ := json.Marshal(vocab) // which cannot fail
	return `{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"post_processor":{"type":"RobertaProcessing","sep":["</s>",301],"cls":["<s>",300]},` +
		`"model":{"type":"BPE","merges":["a a",["aa","a"]],"vocab":` + string(b) + `}}`
}

// checkSubwords checks an encoding of any tokenizer.
func checkSubwords(t *testing.T, tok *model.Tokenizer, e model.Encoding, most int) {
	t.Helper()
	const specials = 4
	if n := len(e.IDs); n != len(e.TypeIDs) || n < 2 || most > 0 && n > max(most, specials) {
		t.Fatalf("got %d ids and %d types, limit %d", n, len(e.TypeIDs), most)
	}
	for _, id := range e.IDs {
		if id < 0 || int(id) >= tok.VocabSize() {
			t.Fatalf("id %d of %d", id, tok.VocabSize())
		}
	}
}

// FuzzSubwordsJSON: any tokenizer.json of any model is an error, or a tokenizer that encodes.
func FuzzSubwordsJSON(f *testing.F) {
	f.Add([]byte(smallUnigram), "a <m> é\u0301aa", "＜m＞", uint8(7))
	f.Add([]byte(strings.Replace(smallUnigram, `{"type":"Metaspace"`, `{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace"}]},"x":{"type":""`, 1)),
		" a\u2003a ", "", uint8(0))
	f.Add([]byte(smallBPE()), "aaaa don't \t 12é", "a", uint8(5))
	dir := f.TempDir()
	write := writer(f, dir)
	f.Fuzz(func(t *testing.T, file []byte, text, pair string, limit uint8) {
		write(t, "tokenizer.json", file)
		write(t, "tokenizer_config.json", []byte(`{"tokenizer_class":"PreTrainedTokenizerFast"}`))
		tok, err := model.LoadTokenizer(dir)
		if err != nil {
			return
		}
		var e model.Encoding
		tok.Encode(&e, text, pair, int(limit))
		checkSubwords(t, tok, e, int(limit))
		tok.Words()
		if tok.Digest(8) == tok.Digest(9) {
			t.Fatal("got one digest for two limits")
		}
	})
}

// FuzzSubwords: any text gives ids of the vocabulary, and a limit the beginning of them all.
func FuzzSubwords(f *testing.F) {
	f.Add("the café, don't  ＜s＞!", "", uint16(16))
	f.Add("<s> hi </s>", "  <mask> x", uint16(6))
	f.Add("e\u0301\u302f ™\u0301©\u200d™\u0301\r\n你\x00\xff", "ﬁ\u0301", uint16(0))
	var toks []*model.Tokenizer
	for name, class := range map[string]string{"unigram": "XLMRobertaTokenizer", "bpe": "RobertaTokenizer"} {
		toks = append(toks, committedTokenizer(f, name, class))
	}
	f.Fuzz(func(t *testing.T, text, pair string, limit uint16) {
		for _, tok := range toks {
			var whole, cut model.Encoding
			tok.Encode(&whole, text, "", 0)
			checkSubwords(t, tok, whole, 0)
			tok.Encode(&cut, text, "", int(limit))
			checkSubwords(t, tok, cut, int(limit))
			if n := len(cut.IDs) - 1; !slices.Equal(cut.IDs[:n], whole.IDs[:n]) {
				t.Fatalf("to %d: got %v, want the beginning of %v", limit, cut.IDs, whole.IDs)
			}
			tok.Encode(&cut, text, pair, int(limit))
			checkSubwords(t, tok, cut, int(limit))
		}
	})
}

// committedTokenizer is one of package model's testdata.
func committedTokenizer(f *testing.F, name, class string) *model.Tokenizer {
	f.Helper()
	file, err := os.Open(filepath.Join("..", "model", "testdata", "subwords", name+".json.gz"))
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		f.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	for name, content := range map[string][]byte{"tokenizer.json": b, "tokenizer_config.json": []byte(`{"tokenizer_class":"` + class + `"}`)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			f.Fatal(err)
		}
	}
	tok, err := model.LoadTokenizer(dir)
	if err != nil {
		f.Fatal(err)
	}
	return tok
}
