package model

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
)

// readSpecial finds the special tokens: tokenizer_config.json's, those of special_tokens_map.json,
// and BERT's own for what neither states. Which of two different ones counts depends on
// transformers' version and on the other files, so they are refused.
func (s *tokenizerSettings) readSpecial(dir fs.FS) error {
	fields, err := readObject(dir, specialMap, maxConfigFile, ErrTokenizer)
	if err != nil {
		return err
	}
	s.special = map[string]stated{}
	for _, f := range specialFields {
		own, err := readToken(s.fields, tokenizerConfig, f.field)
		if err != nil {
			return err
		}
		mapped, err := readToken(fields, specialMap, f.field)
		if err != nil {
			return err
		}
		if own.file == "" && s.decoder != nil { // transformers then does not look at the map
			own.token.Content = s.fallback(f.field, f.fallback)
		}
		switch {
		case own.token.Content == "" && mapped.file == "":
			own.token.Content = s.fallback(f.field, f.fallback)
		case own.token.Content == "":
			own = mapped
		case mapped.file != "" && mapped.token.Content != own.token.Content:
			return unsupportedf("%s has %s %q, %s has %q: want them to agree", mapped.file, f.field,
				mapped.token.Content, tokenizerConfig, own.token.Content)
		}
		s.special[f.field] = own
	}
	if err := s.readMore(s.fields, tokenizerConfig); err != nil {
		return err
	}
	return s.readMore(fields, specialMap)
}

// readToken reads a special token: a string, or an object with its content. The zero value is one
// that is not stated.
func readToken(fields map[string]json.RawMessage, file, name string) (stated, error) {
	raw := fields[name]
	if len(raw) == 0 || string(raw) == "null" {
		return stated{}, nil
	}
	token, ok := parseToken(raw)
	if !ok {
		return stated{}, tokenizerf("%s: %s: want a string or an object with content", file, name)
	}
	return stated{token, file}, nil
}

func parseToken(raw json.RawMessage) (addedToken, bool) {
	token := addedToken{Special: true}
	if json.Unmarshal(raw, &token.Content) == nil {
		return token, token.Content != ""
	}
	return token, json.Unmarshal(raw, &token) == nil && token.Content != ""
}

// readMore reads the special tokens beyond BERT's five: one each, a list, or an object by name.
func (s *tokenizerSettings) readMore(fields map[string]json.RawMessage, file string) error {
	for _, name := range []string{"bos_token", "eos_token"} {
		token, err := readToken(fields, file, name)
		if err != nil {
			return err
		}
		if token.file != "" {
			s.more = append(s.more, token)
		}
	}
	for _, name := range []string{"additional_special_tokens", "extra_special_tokens"} {
		raw := orNull(fields[name])
		var list []json.RawMessage
		byName := map[string]json.RawMessage{}
		if json.Unmarshal(raw, &list) != nil && json.Unmarshal(raw, &byName) != nil {
			return tokenizerf("%s: %s: want a list of tokens", file, name)
		}
		for _, key := range slices.Sorted(maps.Keys(byName)) {
			list = append(list, byName[key])
		}
		for _, raw := range list {
			token, ok := parseToken(raw)
			if !ok {
				return tokenizerf("%s: %s: want strings or objects with content", file, name)
			}
			s.more = append(s.more, stated{token, file})
		}
	}
	return nil
}

// addSpecial brings the settings' tokens into a specification: BERT's special tokens are found in
// texts whatever file names them, as in transformers. A token that a file states and the
// vocabulary lacks would get an id beyond the model's, so it is refused.
func (spec *tokenizerSpec) addSpecial(s tokenizerSettings) error {
	known := make(map[string]bool, len(spec.added))
	for _, token := range spec.added {
		known[token.Content] = true
	}
	all := s.more
	for _, f := range specialFields {
		if t := s.special[f.field]; t.file != "" || s.isBERT() {
			all = append(all[:len(all):len(all)], t)
		}
	}
	for _, t := range all {
		id, ok := spec.vocab[t.token.Content]
		switch {
		case known[t.token.Content]:
			continue
		case ok:
			t.token.ID = id
			spec.added = append(spec.added, t.token)
			known[t.token.Content] = true
		case t.file != "":
			return unsupportedf("%s: special token %q is not in the vocabulary", t.file, t.token.Content)
		}
	}
	return nil
}

// checkAdded checks that tokens which a file states are those of the specification, or are in its
// vocabulary under the same id.
func (spec *tokenizerSpec) checkAdded(tokens []addedToken, file, beside string) error {
	ids := make(map[string]int32, len(spec.added))
	for _, token := range spec.added {
		ids[token.Content] = token.ID
	}
	for _, token := range tokens {
		id, ok := ids[token.Content]
		if !ok {
			id, ok = spec.vocab[token.Content]
		}
		switch {
		case !ok:
			return unsupportedf("%s: token %q, which %s does not have", file, token.Content, beside)
		case id != token.ID:
			return unsupportedf("%s: token %q has id %d, in %s %d: want them to agree", file, token.Content, token.ID,
				beside, id)
		}
	}
	return nil
}
