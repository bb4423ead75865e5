package model

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// otherVocabularies belong to tokenizers that are not WordPiece. They may lie beside a
// tokenizer.json that has the same.
var otherVocabularies = []string{
	"spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model", "tokenizer.model", "unigram.json",
	"merges.txt", "vocab.json", "bpe.codes", "vocab.bpe",
	"tekken.json",
}

// LoadTokenizer reads dir's tokenizer.json, or vocab.txt if there is none, and what its other
// files say about tokens: tokenizer_config.json, special_tokens_map.json, added_tokens.json,
// config.json, sentence_bert_config.json and config_sentence_transformers.json. Each is followed,
// or is an ErrUnsupported that names the file and the field; so are two files that contradict each
// other.
func LoadTokenizer(dir string) (*Tokenizer, error) { return LoadTokenizerFS(folder(dir)) }

// LoadTokenizerFS is LoadTokenizer of a file system's root.
func LoadTokenizerFS(fsys fs.FS) (*Tokenizer, error) {
	settings, err := readTokenizerSettings(fsys)
	if err != nil {
		return nil, err
	}
	spec, err := readSpec(fsys, settings)
	if errors.Is(err, fs.ErrNotExist) || err == nil && spec.sub == nil {
		for _, name := range otherVocabularies {
			if _, err := fs.Stat(fsys, name); !errors.Is(err, fs.ErrNotExist) {
				return nil, unsupportedf("a tokenizer in %s, want tokenizer.json with the same, or WordPiece in "+
					"tokenizer.json or vocab.txt alone", name)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if settings.sentence.lowercase && !spec.flags.Lowercase {
		return nil, unsupportedf("%s has do_lower_case true, where the tokenizer's is false: want them to agree",
			settings.sentence.file)
	}
	if settings.lower != nil && *settings.lower != spec.flags.Lowercase {
		return nil, unsupportedf("config.json has do_lower_case %t, where the tokenizer's is %t: want them to agree",
			*settings.lower, spec.flags.Lowercase)
	}
	t, err := newTokenizer(spec)
	if err != nil {
		return nil, err
	}
	t.length = settings.sentence.maxTokens
	if t.length == 0 {
		t.length = settings.length
	}
	return t, nil
}

// readSpec reads the vocabulary and checks it against the settings.
func readSpec(dir fs.FS, s tokenizerSettings) (*tokenizerSpec, error) {
	text, err := readOptional(dir, "vocab.txt", maxTokenizerFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTokenizer, err)
	}
	b, err := readOptional(dir, "tokenizer.json", maxTokenizerFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTokenizer, err)
	}
	var spec *tokenizerSpec
	switch {
	case b != nil:
		spec, err = readJSONSpec(b, text, s)
	case text != nil:
		spec, err = readVocabSpec(text, s)
	default:
		return nil, fmt.Errorf("%w: %s has neither tokenizer.json nor vocab.txt: %w", ErrTokenizer, shown(dir, "."),
			fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	beside := "vocab.txt"
	if b != nil {
		beside = "tokenizer.json"
	}
	if err := spec.checkAdded(s.legacy, addedFile, beside); err != nil {
		return nil, err
	}
	for _, token := range s.legacy { // which transformers would look for in normalised text
		if !spec.hasAdded(token.Content) && !s.isSpecial(token.Content) {
			return nil, unsupportedf("%s: token %q is no special token", addedFile, token.Content)
		}
	}
	return spec, spec.addSpecial(s)
}

func (spec *tokenizerSpec) hasAdded(content string) bool {
	return slices.ContainsFunc(spec.added, func(t addedToken) bool { return t.Content == content })
}

func (s tokenizerSettings) isSpecial(content string) bool {
	for _, f := range specialFields {
		if s.special[f.field].token.Content == content {
			return true
		}
	}
	return slices.ContainsFunc(s.more, func(t stated) bool { return t.token.Content == content })
}

// readJSONSpec reads tokenizer.json, which decides; what the other files state must agree with it.
func readJSONSpec(b, vocab []byte, s tokenizerSettings) (*tokenizerSpec, error) {
	spec, err := parseTokenizerJSON(b, s)
	if err != nil {
		return nil, err
	}
	for _, token := range []struct{ field, got string }{{"cls_token", spec.cls}, {"sep_token", spec.sep},
		{"unk_token", spec.unk}} {
		if t := s.special[token.field]; t.file != "" && t.token.Content != token.got {
			return nil, unsupportedf("%s has %s %q, tokenizer.json %q: want them to agree", t.file, token.field,
				t.token.Content, token.got)
		}
	}
	if err := spec.checkAdded(s.decoder, tokenizerConfig+": added_tokens_decoder", "tokenizer.json"); err != nil {
		return nil, err
	}
	for _, token := range s.decoder {
		if !spec.hasAdded(token.Content) {
			spec.added = append(spec.added, token)
		}
	}
	if vocab != nil && spec.sub != nil {
		return nil, unsupportedf("vocab.txt beside a tokenizer.json of model %q: want one of them", spec.sub.kind)
	}
	if vocab != nil {
		err = spec.checkVocab(parseVocabText(vocab))
	}
	return spec, err
}

// checkVocab compares vocab.txt with tokenizer.json: the tokenizers that read one of them would
// disagree.
func (spec *tokenizerSpec) checkVocab(ids map[string]int32) error {
	added := make(map[string]int32, len(spec.added))
	for _, t := range spec.added {
		added[t.Content] = t.ID
	}
	first := ""
	for token, id := range ids {
		got, ok := spec.vocab[token]
		if !ok {
			got, ok = added[token]
		}
		// A token with spaces at its ends is no word, and loaders differ in whether they cut them
		// off.
		same := ok && got == id || strings.TrimSpace(token) != token || token == ""
		if !same && (first == "" || id < ids[first]) {
			first = token
		}
	}
	if first == "" {
		return nil
	}
	return unsupportedf("vocab.txt has token %q with id %d, tokenizer.json does not: want them to agree, or one "+
		"of them", first, ids[first])
}

// readVocabSpec is a folder without tokenizer.json: vocab.txt and the defaults of BertTokenizer.
func readVocabSpec(text []byte, s tokenizerSettings) (*tokenizerSpec, error) {
	if err := s.checkModel("WordPiece"); err != nil {
		return nil, err
	}
	if !s.isBERT() {
		return nil, unsupportedf("%s: tokenizer_class %q without tokenizer.json, want BertTokenizer", tokenizerConfig,
			s.class)
	}
	token := func(field string) string { return s.special[field].token.Content }
	spec := &tokenizerSpec{vocab: parseVocabText(text), prefix: "##", maxChars: 100,
		cls: token("cls_token"), sep: token("sep_token"), unk: token("unk_token"),
		added: s.decoder}
	spec.flags = s.override(normalizerSettings{lowercase: true, han: true}).flags(true)
	said := s.sentence.lowercase || string(orNull(s.fields["do_lower_case"])) != "null"
	if said {
		return spec, nil
	}
	// transformers would lower-case, and never find the words with capitals of a cased vocabulary.
	if token := unlowered(spec.vocab); token != "" && !spec.hasAdded(token) && !s.isSpecial(token) {
		return nil, unsupportedf(`vocab.txt has token %q, which no lower-cased text has, and tokenizer_config.json does not say do_lower_case: `+
			`write {"do_lower_case": false} there for a cased model, true for an uncased one`, token)
	}
	return spec, nil
}
