package model

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// tokenizerSettings is tokenizer_config.json.
type tokenizerSettings struct {
	class              string
	cls, sep, unk, pad string
	mask               string
	fields             map[string]json.RawMessage
	added              []addedToken
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

func readTokenizerConfig(dir string) (tokenizerSettings, error) {
	s := tokenizerSettings{cls: "[CLS]", sep: "[SEP]", unk: "[UNK]", pad: "[PAD]", mask: "[MASK]"}
	b, err := readOptional(dir, "tokenizer_config.json", maxTokenizerFile)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrTokenizer, err)
	}
	if b == nil {
		return s, nil
	}
	if err := json.Unmarshal(b, &s.fields); err != nil {
		return s, tokenizerf("tokenizer_config.json: %v", err)
	}
	for name, dst := range map[string]*string{
		"cls_token": &s.cls, "sep_token": &s.sep, "unk_token": &s.unk, "pad_token": &s.pad, "mask_token": &s.mask,
	} {
		if err := s.token(name, dst); err != nil {
			return s, err
		}
	}
	for name, dst := range map[string]any{
		"tokenizer_class": &s.class, "do_lower_case": new(bool), "tokenize_chinese_chars": new(bool), "strip_accents": new(*bool),
	} {
		if raw, ok := s.fields[name]; ok {
			if err := json.Unmarshal(raw, dst); err != nil {
				return s, tokenizerf("tokenizer_config.json: %s: %v", name, err)
			}
		}
	}
	return s, s.readAdded()
}

// token reads a special token: a string, or an object with its content.
func (s *tokenizerSettings) token(name string, dst *string) error {
	raw := s.fields[name]
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	object := struct {
		Content *string `json:"content"`
	}{dst}
	if json.Unmarshal(raw, dst) == nil || json.Unmarshal(raw, &object) == nil && object.Content != nil {
		return nil
	}
	return tokenizerf("tokenizer_config.json: %s: want a string or an object with content", name)
}

// readAdded reads added_tokens_decoder, an object from id to token.
func (s *tokenizerSettings) readAdded() error {
	var byID map[string]addedToken
	if raw, ok := s.fields["added_tokens_decoder"]; ok {
		if err := json.Unmarshal(raw, &byID); err != nil {
			return tokenizerf("tokenizer_config.json: added_tokens_decoder: %v", err)
		}
	}
	for key, token := range byID {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil {
			return tokenizerf("tokenizer_config.json: added_tokens_decoder: id %q", key)
		}
		token.ID = int32(id)
		s.added = append(s.added, token)
	}
	return nil
}

// isBERT is whether transformers would load the folder with its BERT class, whose settings go before tokenizer.json's.
func (s tokenizerSettings) isBERT() bool {
	return s.class == "" || strings.TrimSuffix(s.class, "Fast") == "BertTokenizer"
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

// readVocabFolder reads a folder without tokenizer.json: vocab.txt and the defaults of BertTokenizer.
func readVocabFolder(dir string, s tokenizerSettings) (*tokenizerSpec, error) {
	b, err := readFile(dir, "vocab.txt", maxTokenizerFile)
	if err != nil {
		return nil, fmt.Errorf("%w: neither tokenizer.json nor vocab.txt: %w", ErrTokenizer, err)
	}
	if !s.isBERT() {
		return nil, unsupportedf("tokenizer_config.json: tokenizer_class %q, want BertTokenizer", s.class)
	}
	extra, err := readOptional(dir, "added_tokens.json", maxTokenizerFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTokenizer, err)
	}
	if extra != nil && s.added == nil {
		return nil, unsupportedf("added_tokens.json without tokenizer.json")
	}
	spec := &tokenizerSpec{vocab: parseVocabText(b), prefix: "##", maxChars: 100, cls: s.cls, sep: s.sep, unk: s.unk, pad: s.pad}
	spec.added = s.added
	spec.flags = s.override(normalizerSettings{lowercase: true, han: true}).flags(true)
	if spec.added == nil {
		for _, token := range []string{s.pad, s.unk, s.cls, s.sep, s.mask} {
			if id, ok := spec.vocab[token]; ok {
				spec.added = append(spec.added, addedToken{ID: id, Content: token, Special: true})
			}
		}
	}
	return spec, nil
}
