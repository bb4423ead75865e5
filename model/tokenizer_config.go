package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const (
	tokenizerConfig = "tokenizer_config.json"
	specialMap      = "special_tokens_map.json"
	addedFile       = "added_tokens.json"
)

// tokenizerSettings are all files of a folder that say something about tokens, but for the
// vocabulary itself: tokenizer_config.json, special_tokens_map.json, added_tokens.json,
// config.json and sentence-transformers' own.
type tokenizerSettings struct {
	class    string
	kind     string                     // config.json's model_type
	fields   map[string]json.RawMessage // of tokenizer_config.json
	special  map[string]stated          // by field: cls_token, …
	more     []stated                   // special tokens that BERT has no use for, but finds in texts
	decoder  []addedToken               // tokenizer_config.json's added_tokens_decoder, by id; nil if it has none
	legacy   []addedToken               // added_tokens.json, by id
	sentence sentenceSettings
	lower    *bool // config.json's do_lower_case, which transformers does not look at
	length   int   // model_max_length; 0: not said
}

// stated is a special token, and the file that states it; "" for BERT's defaults.
type stated struct {
	token addedToken
	file  string
}

// specialFields are BERT's special tokens and their defaults.
var specialFields = []struct{ field, fallback string }{
	{"pad_token", "[PAD]"}, {"unk_token", "[UNK]"}, {"cls_token", "[CLS]"}, {"sep_token", "[SEP]"},
	{"mask_token", "[MASK]"},
}

// otherTokens are fields of tokenizer_config.json that make tokens of another kind.
var otherTokens = []neutral{
	{"word_tokenizer_type", []string{`"basic"`}}, {"subword_tokenizer_type", []string{`"wordpiece"`}},
	{"do_word_tokenize", []string{"true"}}, {"do_subword_tokenize", []string{"true"}},
	{"mecab_kwargs", []string{"{}"}}, {"sudachi_kwargs", []string{"{}"}}, {"jumanpp_kwargs", []string{"{}"}},
	{"sp_model_kwargs", []string{"{}"}}, {"spm_file", nil},
	{"do_basic_tokenize", []string{"true"}}, {"never_split", []string{"[]"}}, {"do_split_on_punc", []string{"true"}},
	{"clean_text", []string{"true"}},
	{"wordpieces_prefix", []string{`"##"`}}, {"split_special_tokens", []string{"false"}},
	{"add_prefix_space", []string{"false"}},
	{"add_special_tokens", []string{"true"}}, {"add_bos_token", []string{"false"}},
	{"add_eos_token", []string{"false"}},
	{"truncation_side", []string{`"right"`}}, {"padding_side", []string{`"right"`}},
	{"auto_map", []string{"{}"}}, {"fast_tokenizer_files", []string{"[]"}},
}

// normalizerSettings are the three flags that both tokenizer.json and tokenizer_config.json have.
type normalizerSettings struct {
	lowercase, han bool
	strip          *bool // nil follows lowercase
}

func (n normalizerSettings) flags(cleanText bool) tokenizerFlags {
	strip := n.lowercase
	if n.strip != nil {
		strip = *n.strip
	}
	return tokenizerFlags{CleanText: cleanText, HandleChineseChars: n.han, StripAccents: strip, Lowercase: n.lowercase}
}

func readTokenizerSettings(dir fs.FS) (s tokenizerSettings, err error) {
	if s.fields, err = readObject(dir, tokenizerConfig, maxTokenizerFile, ErrTokenizer); err != nil {
		return s, err
	}
	if s.sentence, err = readSentenceSettings(dir); err != nil {
		return s, err
	}
	for _, part := range []func() error{
		func() error { return s.readClass(dir) },
		func() error { return wantNeutral(s.fields, tokenizerConfig, otherTokens) },
		s.checkFlags, s.readLength, s.readDecoder,
		func() error { return s.readSpecial(dir) },
		func() error { return s.readLegacy(dir) },
	} {
		if err := part(); err != nil {
			return s, err
		}
	}
	return s, nil
}

// readClass finds the tokenizer's class as transformers does: tokenizer_config.json goes before
// config.json, and without either the model's type decides.
func (s *tokenizerSettings) readClass(dir fs.FS) error {
	config, err := readObject(dir, "config.json", maxConfigFile, ErrTokenizer)
	if err != nil {
		return err
	}
	file := "config.json"
	if err := cmp.Or(decode(config, file, "tokenizer_class", &s.class, ErrTokenizer),
		decode(config, file, "model_type", &s.kind, ErrTokenizer),
		decode(config, file, "do_lower_case", &s.lower, ErrTokenizer)); err != nil {
		return err
	}
	if raw, ok := s.fields["tokenizer_class"]; ok && string(raw) != "null" {
		file = tokenizerConfig
		if err := decode(s.fields, file, "tokenizer_class", &s.class, ErrTokenizer); err != nil {
			return err
		}
	}
	if s.classModel() == "" && s.class == "" {
		return unsupportedf("config.json: model_type %q, want bert, distilbert, roberta or xlm-roberta", s.kind)
	}
	if s.classModel() == "" {
		return unsupportedf("%s: tokenizer_class %q, want BertTokenizer, DistilBertTokenizer, RobertaTokenizer or "+
			"XLMRobertaTokenizer", file, s.class)
	}
	return nil
}

// checkFlags checks the types that override relies on.
func (s *tokenizerSettings) checkFlags() error {
	for _, name := range []string{"do_lower_case", "tokenize_chinese_chars", "strip_accents"} {
		if err := decode(s.fields, tokenizerConfig, name, new(bool), ErrTokenizer); err != nil {
			return err
		}
	}
	return nil
}

// readLength reads model_max_length, which is a very large number where transformers knows no
// limit.
func (s *tokenizerSettings) readLength() error {
	var n float64
	if err := decode(s.fields, tokenizerConfig, "model_max_length", &n, ErrTokenizer); err != nil {
		return err
	}
	switch raw := string(s.fields["model_max_length"]); {
	case raw == "" || raw == "null" || n > 1<<20:
		return nil
	case n < MinTokens || n != float64(int(n)):
		return tokenizerf("%s: model_max_length: got %s, want %d or more", tokenizerConfig, raw, MinTokens)
	}
	s.length = int(n)
	return nil
}

// checkInputs refuses a folder whose model is not told which text of a pair a token belongs to, but
// has types for it.
func (s tokenizerSettings) checkInputs() error {
	if s.kind == "distilbert" {
		return nil
	}
	var names []string
	if err := decode(s.fields, tokenizerConfig, "model_input_names", &names, ErrTokenizer); err != nil {
		return err
	}
	if names != nil && !slices.Contains(names, "token_type_ids") {
		return unsupportedf("%s: model_input_names %q, want token_type_ids among them", tokenizerConfig, names)
	}
	return nil
}

// readDecoder reads added_tokens_decoder, an object from id to token.
func (s *tokenizerSettings) readDecoder() error {
	var byID map[string]addedToken
	if err := decode(s.fields, tokenizerConfig, "added_tokens_decoder", &byID, ErrTokenizer); err != nil {
		return err
	}
	for key, token := range byID {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return tokenizerf("%s: added_tokens_decoder: id %q", tokenizerConfig, key)
		}
		token.ID = int32(id)
		s.decoder = append(s.decoder, token)
	}
	sortAdded(s.decoder)
	return nil
}

// readLegacy reads added_tokens.json, an object from token to id.
func (s *tokenizerSettings) readLegacy(dir fs.FS) error {
	fields, err := readObject(dir, addedFile, maxTokenizerFile, ErrTokenizer)
	if err != nil {
		return err
	}
	for content, raw := range fields {
		token := addedToken{Content: content}
		if err := json.Unmarshal(raw, &token.ID); err != nil {
			return fmt.Errorf("%w: %s: %q: %v", ErrTokenizer, addedFile, content, err)
		}
		s.legacy = append(s.legacy, token)
	}
	sortAdded(s.legacy)
	return nil
}

// sortAdded makes the order of tokens, and so of what is wrong with them, not depend on a map's.
func sortAdded(tokens []addedToken) {
	slices.SortFunc(tokens, func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), strings.Compare(a.Content, b.Content))
	})
}

// override applies the flags that tokenizer_config.json states, as transformers does.
func (s tokenizerSettings) override(n normalizerSettings) normalizerSettings {
	if !s.isBERT() {
		return n
	}
	// The types were checked when the file was read; null leaves lowercase and han as they are.
	json.Unmarshal(orNull(s.fields["do_lower_case"]), &n.lowercase)
	json.Unmarshal(orNull(s.fields["tokenize_chinese_chars"]), &n.han)
	if raw, ok := s.fields["strip_accents"]; ok {
		json.Unmarshal(raw, &n.strip)
	}
	return n
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// classModel is the model of a tokenizer of the folder's class: WordPiece, Unigram or BPE, "any"
// for a class that takes tokenizer.json as it is, "" for one that is not known.
func (s tokenizerSettings) classModel() string {
	class := strings.TrimSuffix(s.class, "Fast")
	switch s.class {
	case "PreTrainedTokenizerFast", "TokenizersBackend":
		return "any"
	case "":
		class = map[string]string{"": "BertTokenizer", "bert": "BertTokenizer", "distilbert": "DistilBertTokenizer",
			"roberta": "RobertaTokenizer", "xlm-roberta": "XLMRobertaTokenizer"}[s.kind]
	}
	return map[string]string{"BertTokenizer": "WordPiece", "DistilBertTokenizer": "WordPiece",
		"RobertaTokenizer": "BPE", "XLMRobertaTokenizer": "Unigram"}[class]
}

// isBERT is whether transformers would load the folder with its BERT class, whose settings go
// before tokenizer.json's.
func (s tokenizerSettings) isBERT() bool { return s.classModel() == "WordPiece" }

// checkModel refuses a tokenizer's model that the folder's class does not have.
func (s tokenizerSettings) checkModel(kind string) error {
	want := s.classModel()
	switch {
	case want != "any" && want != kind && s.class == "":
		return unsupportedf("config.json: model_type %q with a tokenizer of %q, want %q", s.kind, kind, want)
	case want != "any" && want != kind:
		return unsupportedf("tokenizer_config.json or config.json: tokenizer_class %q with a tokenizer of %q, want %q",
			s.class, kind, want)
	case kind == "WordPiece":
		return s.checkInputs()
	}
	return nil
}

// fallback is a special token that no file states, bert's own for the classes of BERT.
func (s tokenizerSettings) fallback(field, bert string) string {
	if model := s.classModel(); model == "Unigram" || model == "BPE" {
		return map[string]string{"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>",
			"mask_token": "<mask>"}[field]
	}
	return bert
}
