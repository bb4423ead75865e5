package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smallJSON is a tokenizer.json of the first version, without a type in its model.
const smallJSON = `{"version":"1.0","truncation":{"max_length":3},"padding":{"strategy":{"Fixed":9}},
"added_tokens":[{"id":1,"content":"[CLS]","special":true,"lstrip":true},{"id":2,"content":"[SEP]","special":true}],
"normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},
"pre_tokenizer":{"type":"BertPreTokenizer"},
"post_processor":{"type":"TemplateProcessing",
"single":[{"SpecialToken":{"id":"C","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"S","type_id":0}}],
"pair":[{"SpecialToken":{"id":"C","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"S","type_id":0}},{"Sequence":{"id":"B","type_id":1}},{"SpecialToken":{"id":"S","type_id":1}}],
"special_tokens":{"C":{"id":"C","ids":[1],"tokens":["[CLS]"]},"S":{"id":"S","ids":[2],"tokens":["[SEP]"]}}},
"model":{"unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
"vocab":{"[UNK]":0,"[CLS]":1,"[SEP]":2,"un":3,"##able":4,"É":5,"é":6,"e":7}}}`

func loadJSON(t *testing.T, file, config string) (*Tokenizer, error) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "tokenizer.json", file)
	if config != "" {
		writeFile(t, dir, "tokenizer_config.json", config)
	}
	return LoadTokenizer(dir)
}

func TestTokenizerJSON(t *testing.T) {
	bertProcessing := smallJSON[:strings.Index(smallJSON, `"post_processor"`)] +
		`"post_processor":{"type":"BertProcessing","sep":["[SEP]",2],"cls":["[CLS]",1]},` +
		smallJSON[strings.Index(smallJSON, `"model"`):]
	cased := strings.Replace(smallJSON, `"lowercase":true`, `"lowercase":false`, 1)
	cases := []struct {
		name, file, config, text string
		want                     []int32
	}{
		{"template", smallJSON, ``, "unable É x", []int32{1, 3, 4, 7, 0, 2}},
		{"typed model", strings.Replace(smallJSON, `"unk_token"`, `"type":"WordPiece","unk_token"`, 1), ``, "un",
			[]int32{1, 3, 2}},
		{"BertProcessing", bertProcessing, ``, "un [SEP]", []int32{1, 3, 2, 2}},
		{"cased", cased, ``, "É é E", []int32{1, 5, 6, 0, 2}},
		{"accents kept", strings.Replace(smallJSON, `null`, `false`, 1), ``, "É", []int32{1, 6, 2}},
		// transformers' BertTokenizerFast lets tokenizer_config.json decide; other classes do not
		// look there.
		{"overridden", smallJSON, `{"do_lower_case":false}`, "É é", []int32{1, 5, 6, 2}},
		{"accents overridden", strings.Replace(smallJSON, `null`, `false`, 1), `{"strip_accents":null}`, "É",
			[]int32{1, 7, 2}},
		{"not overridden", smallJSON, `{"do_lower_case":false,"tokenizer_class":"PreTrainedTokenizerFast"}`, "É é",
			[]int32{1, 7, 7, 2}},
		{"null is unsaid", cased, `{"do_lower_case":null,"tokenizer_class":"BertTokenizerFast"}`, "É",
			[]int32{1, 5, 2}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tok, err := loadJSON(t, c.file, c.config)
			if err != nil {
				t.Fatal(err)
			}
			var e Encoding
			tok.Encode(&e, c.text, "", 0)
			if diff := cmp.Diff(c.want, e.IDs); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		})
	}
}

func TestTokenizerJSONErrors(t *testing.T) {
	cases := []struct {
		name, old, new string // a replacement in smallJSON
		want           error
		text           string
	}{
		{"BPE", `{"unk_token"`, `{"type":"BPE","unk_token"`, ErrUnsupported, `"BPE"`},
		{"old BPE", `"max_input_chars_per_word":100`, `"merges":[]`, ErrUnsupported, `"BPE"`},
		{"old Unigram", `{"unk_token":"[UNK]"`, `{"unk_id":0`, ErrUnsupported, `"Unigram"`},
		{"no model", `"model"`, `"x"`, ErrUnsupported, `model ""`},
		{"normalizer", `"BertNormalizer"`, `"Sequence"`, ErrUnsupported, `"Sequence"`},
		{"no normalizer", `"normalizer"`, `"x"`, ErrUnsupported, `normalizer "null"`},
		{"pre-tokenizer", `"BertPreTokenizer"`, `"ByteLevel"`, ErrUnsupported, `"ByteLevel"`},
		{"post-processor", `"TemplateProcessing"`, `"RobertaProcessing"`, ErrUnsupported, `"RobertaProcessing"`},
		{"template order", `{"Sequence":{"id":"A","type_id":0}}`, `{"Sequence":{"id":"B","type_id":0}}`,
			ErrUnsupported, "template"},
		{"template type", `"type_id":1`, `"type_id":0`, ErrUnsupported, "template"},
		{"template empty", `{"SpecialToken":{"id":"C","type_id":0}}`, `{}`, ErrUnsupported, "template"},
		{"template tokens", `"tokens":["[CLS]"]`, `"tokens":[]`, ErrTokenizer, `"C"`},
		{"unknown [CLS]", `"tokens":["[CLS]"]`, `"tokens":["[X]"]`, ErrTokenizer, `"[X]"`},
		{"single_word", `"lstrip":true`, `"single_word":true`, ErrUnsupported, `"[CLS]"`},
		{"added id", `"id":1,"content"`, `"id":3,"content"`, ErrTokenizer, `"[CLS]"`},
		{"added empty", `"content":"[CLS]"`, `"content":""`, ErrTokenizer, "empty"},
		{"negative id", `"un":3`, `"un":-3`, ErrTokenizer, `"un"`},
		{"huge id", `"un":3`, `"un":4194304`, ErrTokenizer, `"un"`},
		{"id of no integer", `"un":3`, `"un":"3"`, ErrTokenizer, "vocab"},
		{"no vocabulary", `"vocab"`, `"x"`, ErrUnsupported, "model"},
		{"limit", `"max_input_chars_per_word":100`, `"max_input_chars_per_word":0`, ErrTokenizer,
			"max_input_chars_per_word"},
		{"flag", `"lowercase":true`, `"lowercase":"yes"`, ErrTokenizer, "normalizer"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(smallJSON, c.old) {
				t.Fatalf("%q is not in the file", c.old)
			}
			_, err := loadJSON(t, strings.Replace(smallJSON, c.old, c.new, 1), "")
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v with %s", err, c.want, c.text)
			}
		})
	}
}

func TestTokenizerJSONCut(t *testing.T) {
	for n := range len(smallJSON) {
		if tok, err := loadJSON(t, smallJSON[:n], ""); !errors.Is(err, ErrTokenizer) || tok != nil {
			t.Fatalf("cut to %d bytes: got %v, %v, want ErrTokenizer", n, tok, err)
		}
	}
}

// TestTokenizerOdd: random characters, special tokens, combining marks in disorder, under seven
// sets of flags, as Hugging Face encodes them.
func TestTokenizerOdd(t *testing.T) {
	var file map[string]json.RawMessage
	b, err := os.ReadFile(filepath.Join(modelDir(t), "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	tokenizers := map[string]*Tokenizer{}
	for _, row := range readGolden(t, filepath.Join("testdata", "odd.jsonl.gz")) {
		tok := tokenizers[string(row.Normalizer)]
		if tok == nil {
			file["normalizer"] = row.Normalizer
			var changed bytes.Buffer
			if err := json.NewEncoder(&changed).Encode(file); err != nil {
				t.Fatal(err)
			}
			if tok, err = loadJSON(t, changed.String(), ""); err != nil {
				t.Fatal(err)
			}
			tokenizers[string(row.Normalizer)] = tok
		}
		checkGolden(t, tok, []goldenText{row})
	}
	if len(tokenizers) != 7 {
		t.Errorf("got %d sets of flags, want 7", len(tokenizers))
	}
}
