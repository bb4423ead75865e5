package model

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// tokenizerFile is tokenizer.json, but for what does not decide ids.
type tokenizerFile struct {
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	Model         json.RawMessage `json:"model"`
}

// parseTokenizerJSON reads the parts of Hugging Face's tokenizer.json that decide ids. Of its
// truncation and padding only the side counts, as for transformers, and only where
// tokenizer_config.json names none.
func parseTokenizerJSON(b []byte, settings tokenizerSettings) (*tokenizerSpec, error) {
	var file tokenizerFile
	if err := json.Unmarshal(b, &file); err != nil {
		return nil, tokenizerf("tokenizer.json: %v", err)
	}
	kind, err := modelType(file.Model)
	if err == nil {
		err = settings.checkModel(kind)
	}
	switch {
	case err != nil:
		return nil, err
	case kind != "WordPiece":
		return parseSubwords(kind, &file, settings)
	}
	spec := &tokenizerSpec{added: file.AddedTokens}
	return spec, cmp.Or(
		spec.parseModel(file.Model),
		spec.parseNormalizer(file.Normalizer, settings),
		wantSide("truncation", file.Truncation, settings.fields["truncation_side"]),
		wantSide("padding", file.Padding, settings.fields["padding_side"]),
		wantType("pre_tokenizer", file.PreTokenizer, "BertPreTokenizer"),
		spec.parsePostProcessor(file.PostProcessor),
	)
}

// typeOf returns a part's "type": "null" for an absent part, "" for one that does not say.
func typeOf(part json.RawMessage) string {
	if len(part) == 0 || string(part) == "null" {
		return "null"
	}
	var head struct {
		Type string `json:"type"`
	}
	json.Unmarshal(part, &head) // what does not parse has no type, and the parser behind says more
	return head.Type
}

func wantType(name string, part json.RawMessage, want ...string) error {
	if got := typeOf(part); !slices.Contains(want, got) {
		return unsupportedf("tokenizer.json: %s %q, want %s", name, got, strings.Join(want, " or "))
	}
	return nil
}

// wantSide refuses a truncation or a padding at the beginning of texts.
func wantSide(name string, part, config json.RawMessage) error {
	var p struct {
		Direction string `json:"direction"`
	}
	if err := json.Unmarshal(orNull(part), &p); err != nil {
		return tokenizerf("tokenizer.json: %s: %v", name, err)
	}
	if string(orNull(config)) == "null" && p.Direction != "" && p.Direction != "Right" {
		return unsupportedf("tokenizer.json: %s: direction %q, want Right", name, p.Direction)
	}
	return nil
}

// modelType is WordPiece, Unigram or BPE.
func modelType(b json.RawMessage) (string, error) {
	var model struct {
		Type   string          `json:"type"`
		Merges json.RawMessage `json:"merges"` // BPE's
		UnkID  json.RawMessage `json:"unk_id"` // Unigram's
		Vocab  json.RawMessage `json:"vocab"`
	}
	if err := json.Unmarshal(orNull(b), &model); err != nil {
		return "", tokenizerf("tokenizer.json: model: %v", err)
	}
	// Files of the first versions leave out the type: their fields tell.
	switch {
	case model.Type != "":
	case model.Merges != nil:
		model.Type = "BPE"
	case model.UnkID != nil:
		model.Type = "Unigram"
	case model.Vocab != nil:
		model.Type = "WordPiece"
	}
	switch model.Type {
	case "WordPiece", "Unigram", "BPE":
		return model.Type, nil
	}
	return "", unsupportedf("tokenizer.json: model %q, want WordPiece, Unigram or BPE", model.Type)
}

func (spec *tokenizerSpec) parseModel(b json.RawMessage) error {
	model := struct {
		Unk      string          `json:"unk_token"`
		Prefix   string          `json:"continuing_subword_prefix"`
		MaxChars int             `json:"max_input_chars_per_word"`
		Vocab    json.RawMessage `json:"vocab"`
	}{Unk: "[UNK]", Prefix: "##", MaxChars: 100}
	if err := json.Unmarshal(orNull(b), &model); err != nil {
		return tokenizerf("tokenizer.json: model: %v", err)
	}
	spec.unk, spec.prefix, spec.maxChars = model.Unk, model.Prefix, model.MaxChars
	if err := json.Unmarshal(orNull(model.Vocab), &spec.vocab); err != nil {
		return tokenizerf("tokenizer.json: model: vocab: %v", err)
	}
	return nil
}

func (spec *tokenizerSpec) parseNormalizer(b json.RawMessage, settings tokenizerSettings) error {
	if err := wantType("normalizer", b, "BertNormalizer"); err != nil {
		return err
	}
	n := struct {
		CleanText bool  `json:"clean_text"`
		Han       bool  `json:"handle_chinese_chars"`
		Strip     *bool `json:"strip_accents"`
		Lowercase bool  `json:"lowercase"`
	}{true, true, nil, true}
	if err := json.Unmarshal(b, &n); err != nil {
		return tokenizerf("tokenizer.json: normalizer: %v", err)
	}
	base := normalizerSettings{lowercase: n.Lowercase, han: n.Han, strip: n.Strip}
	spec.flags = settings.override(base).flags(n.CleanText)
	return nil
}

// parsePostProcessor accepts the two spellings of "[CLS] A [SEP] B [SEP]" with type 1 from B on.
func (spec *tokenizerSpec) parsePostProcessor(b json.RawMessage) error {
	if err := wantType("post_processor", b, "TemplateProcessing", "BertProcessing"); err != nil {
		return err
	}
	if typeOf(b) == "BertProcessing" {
		return spec.parseClsSep(b)
	}
	return spec.parseTemplate(b)
}

func (spec *tokenizerSpec) parseClsSep(b json.RawMessage) error {
	var p struct {
		Sep [2]any `json:"sep"`
		Cls [2]any `json:"cls"`
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return tokenizerf("tokenizer.json: post_processor: %v", err)
	}
	spec.cls, spec.sep = fmt.Sprint(p.Cls[0]), fmt.Sprint(p.Sep[0])
	return nil
}

type templatePiece struct {
	Special  *templatePart `json:"SpecialToken"`
	Sequence *templatePart `json:"Sequence"`
}

type templatePart struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

func (p templatePiece) String() string {
	switch {
	case p.Special != nil && p.Sequence == nil:
		return fmt.Sprintf("%q:%d", p.Special.ID, p.Special.TypeID)
	case p.Sequence != nil && p.Special == nil:
		return fmt.Sprintf("%s:%d", p.Sequence.ID, p.Sequence.TypeID)
	}
	return "?"
}

func (spec *tokenizerSpec) parseTemplate(b json.RawMessage) error {
	var p struct {
		Single []templatePiece `json:"single"`
		Pair   []templatePiece `json:"pair"`
		Tokens map[string]struct {
			Tokens []string `json:"tokens"`
		} `json:"special_tokens"`
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return tokenizerf("tokenizer.json: post_processor: %v", err)
	}
	want := "[CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1"
	if spec.sub != nil {
		want = "<s>:0 A:0 </s>:0 </s>:0 B:0 </s>:0"
	}
	unsupported := unsupportedf("tokenizer.json: post_processor template %v and %v, want %s", p.Single, p.Pair, want)
	if len(p.Single) != 3 || p.Single[0].Special == nil || p.Single[2].Special == nil {
		return unsupported
	}
	cls, sep := p.Single[0].Special.ID, p.Single[2].Special.ID
	single := fmt.Sprintf("[%q:0 A:0 %q:0", cls, sep)
	pair := fmt.Sprintf("%s B:1 %q:1]", single, sep)
	if spec.sub != nil {
		pair = fmt.Sprintf("%s %q:0 B:0 %q:0]", single, sep, sep)
	}
	if fmt.Sprint(p.Single) != single+"]" || fmt.Sprint(p.Pair) != pair {
		return unsupported
	}
	for _, name := range []string{cls, sep} {
		if tokens := p.Tokens[name].Tokens; len(tokens) != 1 {
			return tokenizerf("tokenizer.json: post_processor: special token %q has tokens %q, want one", name, tokens)
		}
	}
	spec.cls, spec.sep = p.Tokens[cls].Tokens[0], p.Tokens[sep].Tokens[0]
	return nil
}
