package model

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lowerVocab is a vocabulary that needs no tokenizer_config.json. Its ids are the lines.
const lowerVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n<s>\n</s>\na\nb\nnew\n"

// lowerJSON is a tokenizer.json of the same tokens, but for what cases replace.
const lowerJSON = `{"added_tokens":[],"normalizer":{"type":"BertNormalizer","lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},` +
	`"post_processor":{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]},"truncation":null,"padding":null,` +
	`"model":{"type":"WordPiece","vocab":{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"[MASK]":4,"<s>":5,"</s>":6,"a":7,"b":8,"new":9}}}`

// settingsText is what the folders of settingsCases encode, and plainIDs what BERT makes of it.
const settingsText = "a <s> [MASK] B"

var plainIDs = []int32{2, 7, 1, 1, 1, 4, 8, 3}

// settingsCases are folders. An entry without texts is one that works, and gives these ids; the
// texts of another are in its error.
var settingsCases = []struct {
	name, vocab, json      string // vocab.txt, tokenizer.json; both empty: lowerVocab
	config, special, added string // tokenizer_config.json, special_tokens_map.json, added_tokens.json
	other, content         string // another file
	want                   []int32
	texts                  []string
}{
	{name: "plain", want: plainIDs},
	{name: "plain JSON", json: lowerJSON, want: plainIDs},
	{name: "both", json: lowerJSON, vocab: lowerVocab, want: plainIDs},
	{name: "nulls", config: `{"word_tokenizer_type":null,"never_split":null,"model_max_length":null,"cls_token":null}`, special: `{"cls_token":null}`, want: plainIDs},
	{name: "neutral values", config: `{"do_basic_tokenize":true,"never_split":[],"padding_side":"right","word_tokenizer_type":"basic","split_special_tokens":false}`, want: plainIDs},

	{name: "class", config: `{"tokenizer_class":"BertJapaneseTokenizer"}`,
		texts: []string{"tokenizer_config.json", "BertJapaneseTokenizer"}},
	{name: "class beside JSON", json: lowerJSON, config: `{"tokenizer_class":"MPNetTokenizer"}`,
		texts: []string{"tokenizer_config.json", "MPNetTokenizer"}},
	{name: "class in config.json", other: "config.json", content: `{"tokenizer_class":"XLMRobertaTokenizer"}`,
		texts: []string{"config.json", "XLMRobertaTokenizer"}},
	{name: "class in both", config: `{"tokenizer_class":"BertTokenizer"}`, other: "config.json",
		content: `{"tokenizer_class":"XLMRobertaTokenizer"}`, want: plainIDs},
	{name: "class of the model", other: "config.json", content: `{"model_type":"roberta"}`,
		texts: []string{"config.json", "roberta"}},
	{name: "lowered in config.json", other: "config.json", content: `{"do_lower_case":true}`, want: plainIDs},
	{name: "kept in config.json", other: "config.json", content: `{"do_lower_case":false}`,
		texts: []string{"config.json", "do_lower_case"}},
	{name: "fast class without JSON", config: `{"tokenizer_class":"PreTrainedTokenizerFast"}`,
		texts: []string{"PreTrainedTokenizerFast", "tokenizer.json"}},
	{name: "words", config: `{"word_tokenizer_type":"mecab"}`, texts: []string{"word_tokenizer_type", "mecab"}},
	{name: "pieces", config: `{"subword_tokenizer_type":"character"}`,
		texts: []string{"subword_tokenizer_type", "character"}},
	{name: "no words", config: `{"do_word_tokenize":false}`, texts: []string{"do_word_tokenize"}},
	{name: "no basic", config: `{"do_basic_tokenize":false}`, texts: []string{"do_basic_tokenize"}},
	{name: "never split", config: `{"never_split":["a"]}`, texts: []string{"never_split"}},
	{name: "left", config: `{"truncation_side":"left"}`, texts: []string{"truncation_side", "left"}},
	{name: "left padding", config: `{"padding_side":"left"}`, texts: []string{"padding_side"}},
	{name: "left in JSON", json: strings.Replace(lowerJSON, `"truncation":null`, `"truncation":{"direction":"Left"}`,
		1), texts: []string{"tokenizer.json", "truncation", "Left"}},
	{name: "left in JSON, undone",
		json:   strings.Replace(lowerJSON, `"truncation":null`, `"truncation":{"direction":"Left"}`, 1),
		config: `{"truncation_side":"right"}`, want: plainIDs},
	{name: "types", config: `{"model_input_names":["input_ids","attention_mask"]}`,
		texts: []string{"model_input_names"}},
	{name: "own code", config: `{"auto_map":{"AutoTokenizer":["t.T",null]}}`, texts: []string{"auto_map"}},
	{name: "specials split", config: `{"split_special_tokens":true}`, texts: []string{"split_special_tokens"}},

	{name: "map", special: `{"cls_token":"<s>","sep_token":{"content":"</s>"}}`, want: []int32{5, 7, 5, 4, 8, 6}},
	{name: "config", config: `{"cls_token":"<s>","sep_token":"</s>"}`, want: []int32{5, 7, 5, 4, 8, 6}},
	{name: "map and config", config: `{"cls_token":"<s>"}`, special: `{"cls_token":"[CLS]"}`,
		texts: []string{"special_tokens_map.json", "tokenizer_config.json", "cls_token", `"<s>"`}},
	{name: "map and decoder", config: `{"added_tokens_decoder":{"2":{"content":"[CLS]"}}}`,
		special: `{"cls_token":"<s>"}`, texts: []string{"special_tokens_map.json", `"<s>"`}},
	{name: "map and JSON", json: lowerJSON, special: `{"sep_token":"</s>"}`,
		texts: []string{"special_tokens_map.json", "tokenizer.json", "sep_token", `"</s>"`}},
	{name: "unknown of JSON", json: lowerJSON, config: `{"unk_token":"a"}`,
		texts: []string{"tokenizer_config.json", "tokenizer.json", "unk_token"}},
	{name: "not in the vocabulary", special: `{"mask_token":"<mask>"}`,
		texts: []string{"special_tokens_map.json", `"<mask>"`}},
	{name: "additional", special: `{"additional_special_tokens":["<s>"]}`, want: []int32{2, 7, 5, 4, 8, 3}},
	{name: "extra", json: lowerJSON, config: `{"extra_special_tokens":{"x":"<s>"}}`, want: []int32{2, 7, 5, 4, 8, 3}},
	{name: "additional and new", config: `{"additional_special_tokens":["<x>"]}`,
		texts: []string{"tokenizer_config.json", `"<x>"`}},
	{name: "begin", special: `{"bos_token":"<s>"}`, want: []int32{2, 7, 5, 4, 8, 3}},
	{name: "map no object", special: `[]`, texts: []string{"special_tokens_map.json"}},
	{name: "map of numbers", special: `{"cls_token":5}`, texts: []string{"special_tokens_map.json", "cls_token"}},

	{name: "added", added: `{"[CLS]":2}`, want: plainIDs},
	{name: "added anew", added: `{"zz":10}`, texts: []string{"added_tokens.json", `"zz"`}},
	{name: "added word", added: `{"new":9}`, texts: []string{"added_tokens.json", `"new"`}},
	{name: "added elsewhere", json: lowerJSON, added: `{"[CLS]":3}`,
		texts: []string{"added_tokens.json", `"[CLS]"`, "tokenizer.json"}},
	{name: "added beside JSON", json: lowerJSON, added: `{"zz":10}`,
		texts: []string{"added_tokens.json", `"zz"`, "tokenizer.json"}},
	{name: "decoder beside JSON", json: lowerJSON,
		config: `{"added_tokens_decoder":{"10":{"content":"zz","special":true}}}`,
		texts:  []string{"added_tokens_decoder", `"zz"`, "tokenizer.json"}},
	{name: "decoder finds more", json: lowerJSON,
		config: `{"added_tokens_decoder":{"5":{"content":"<s>","special":true}}}`, want: []int32{2, 7, 5, 4, 8, 3}},

	{name: "vocabularies", json: lowerJSON, vocab: strings.Replace(lowerVocab, "a\nb\n", "b\na\n", 1),
		texts: []string{"vocab.txt", "tokenizer.json", `"b"`}},
	{name: "mark", vocab: "\ufeff" + lowerVocab, texts: []string{"vocab.txt", "byte order mark"}},
	{name: "capitals", vocab: lowerVocab + "Été\n", texts: []string{"vocab.txt", `"Été"`, "do_lower_case"}},
	{name: "capitals of Russian", vocab: lowerVocab + "Москва\n", texts: []string{"vocab.txt", `"Москва"`}},
	{name: "capitals, said to be lowered", vocab: lowerVocab + "Apple\n", config: `{"do_lower_case":true}`,
		want: plainIDs},
	{name: "capitals, said to be kept", vocab: lowerVocab + "B\n", config: `{"do_lower_case":false}`,
		want: []int32{2, 7, 1, 1, 1, 4, 10, 3}},
	{name: "pieces of SentencePiece", other: "spiece.model", content: "x",
		texts: []string{"spiece.model", "WordPiece"}},
	{name: "merges", json: lowerJSON, other: "merges.txt", content: "x", texts: []string{"merges.txt"}},

	{name: "sentence", other: "sentence_bert_config.json", content: `{"max_seq_length":64,"do_lower_case":false}`,
		want: plainIDs},
	{name: "lowered twice", other: "sentence_bert_config.json", content: `{"do_lower_case":true}`, want: plainIDs},
	{name: "lowered before a cased one", config: `{"do_lower_case":false}`, other: "sentence_bert_config.json",
		content: `{"do_lower_case":true}`, texts: []string{"sentence_bert_config.json", "do_lower_case"}},
	{name: "length", other: "sentence_bert_config.json", content: `{"max_seq_length":0}`,
		texts: []string{"sentence_bert_config.json", "max_seq_length"}},
	{name: "length in words", config: `{"model_max_length":"long"}`,
		texts: []string{"tokenizer_config.json", "model_max_length"}},
	{name: "arguments", other: "sentence_bert_config.json", content: `{"tokenizer_args":{"strip_accents":false}}`,
		texts: []string{"tokenizer_args"}},
	{name: "prompt", other: "config_sentence_transformers.json",
		content: `{"prompts":{"q":"query: "},"default_prompt_name":"q"}`,
		texts:   []string{"config_sentence_transformers.json", "query: "}},
	{name: "prompts by name", other: "config_sentence_transformers.json",
		content: `{"prompts":{"q":"query: "},"default_prompt_name":null}`, want: plainIDs},
	{name: "sparse", other: "config_sentence_transformers.json", content: `{"model_type":"SparseEncoder"}`,
		texts: []string{"model_type", "SparseEncoder"}},
}

// TestSettings: what each file of a folder says about tokens is followed, or refused in words that
// name the file and the field.
func TestSettings(t *testing.T) {
	for _, c := range settingsCases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if c.vocab == "" && c.json == "" {
				c.vocab = lowerVocab
			}
			for name, content := range map[string]string{"vocab.txt": c.vocab, "tokenizer.json": c.json,
				"tokenizer_config.json":   c.config,
				"special_tokens_map.json": c.special, "added_tokens.json": c.added} {
				if content != "" {
					writeFile(t, dir, name, content)
				}
			}
			if c.other != "" {
				writeFile(t, dir, c.other, c.content)
			}
			tok, err := LoadTokenizer(dir)
			for _, want := range c.texts {
				if err == nil || !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrTokenizer) ||
					!strings.Contains(err.Error(), want) {
					t.Fatalf("got %v, want ErrUnsupported or ErrTokenizer with %s", err, want)
				}
			}
			if c.texts != nil {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got Encoding
			tok.Encode(&got, settingsText, "", 0)
			if diff := cmp.Diff(c.want, got.IDs); diff != "" {
				t.Errorf("%q (-want +got):\n%s", settingsText, diff)
			}
		})
	}
}

func TestModules(t *testing.T) {
	entry := func(name, path, kind string) string {
		return `{"name":"` + name + `","path":"` + path + `","type":"` + kind + `"}`
	}
	const models = "sentence_transformers.models."
	first, pool := entry("0", "", models+"Transformer"), entry("1", "1_Pooling", models+"Pooling")
	cases := []struct {
		name, modules string
		want          Pooling
		err           error
		text          string
	}{
		{"two", "[" + first + "," + pool + "]", PoolMean, nil, ""},
		{"Normalize", "[" + first + "," + pool + "," + entry("2", "2_Normalize", models+"Normalize") + "]", PoolMean,
			nil, ""},
		{"another folder", "[" + first + "," + entry("1", "pool", models+"Pooling") + "]", PoolCLS, nil, ""},
		{"Dense", "[" + first + "," + pool + "," + entry("2", "2_Dense", models+"Dense") + "]", 0, ErrUnsupported,
			"models.Dense"},
		{"Dense behind Normalize", "[" + first + "," + pool + "," + entry("2", "", models+"Normalize") + "," +
			entry("3", "3_Dense", models+"Dense") + "]", 0, ErrUnsupported, "models.Dense"},
		{"word weights", "[" + first + "," + entry("1", "w", models+"WordWeights") + "," + pool + "]",
			0, ErrUnsupported, "WordWeights"},
		{"somebody's", "[" + entry("0", "", "custom_st.Transformer") + "," + pool + "]", 0, ErrUnsupported,
			"custom_st.Transformer"},
		{"no pooling", "[" + first + "]", 0, ErrUnsupported, "Pooling"},
		{"nothing", "[]", 0, ErrUnsupported, "0 modules"},
		{"deeper", "[" + entry("0", "0_Transformer", models+"Transformer") + "," + pool + "]", 0, ErrUnsupported,
			"0_Transformer"},
		{"outside", "[" + first + "," + entry("1", "../1_Pooling", models+"Pooling") + "]", 0, ErrCheckpoint,
			"../1_Pooling"},
		{"no file", "[" + first + "," + entry("1", "none", models+"Pooling") + "]", 0, ErrCheckpoint,
			"none/config.json"},
		{"no JSON", "{", 0, ErrCheckpoint, "modules.json"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := miniDir(t, miniWeights(t, false))
			writeFile(t, dir, "modules.json", c.modules)
			writeFile(t, dir, "1_Pooling/config.json", `{"pooling_mode_mean_tokens":true}`)
			writeFile(t, dir, "pool/config.json", `{"pooling_mode_cls_token":true}`)
			ckpt, err := OpenCheckpoint(dir)
			if !errors.Is(err, c.err) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Fatalf("got %v, want %v with %s", err, c.err, c.text)
			}
			if err != nil {
				return
			}
			defer ckpt.Close()
			if ckpt.Pooling != c.want {
				t.Errorf("got %v, want %v", ckpt.Pooling, c.want)
			}
		})
	}
}
