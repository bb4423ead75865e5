package model

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxTokenID bounds ids, and so the embedding rows that a vocabulary can ask for.
const maxTokenID = 1<<22 - 1

// vocab maps words and the later pieces of words to ids.
type vocab struct {
	ids    map[string]int32 // every token as written
	pieces map[string]int32 // the tokens with the continuing prefix, without it
	prefix string
	size   int // largest id + 1
	// longest bounds the greedy match in bytes, so that a long word costs length × longest and not
	// its square.
	longest int
}

func newVocab(ids map[string]int32, prefix string) (*vocab, error) {
	if len(ids) == 0 {
		return nil, tokenizerf("empty vocabulary")
	}
	v := &vocab{ids: ids, pieces: make(map[string]int32, len(ids)/4), prefix: prefix}
	for token, id := range ids {
		if id < 0 || id > maxTokenID {
			return nil, tokenizerf("token %q: id %d, want 0 to %d", token, id, maxTokenID)
		}
		if rest, ok := strings.CutPrefix(token, prefix); ok {
			v.pieces[rest] = id
		}
		if strings.TrimSpace(token) != "" { // no word is a blank one, so that its id is never given
			v.size = max(v.size, int(id)+1)
		}
		v.longest = max(v.longest, len(token))
	}
	return v, nil
}

// parseVocabText reads vocab.txt: one token a line, its id the line's number. As in Hugging Face's
// loader the last of equal lines wins. Blank lines count, but those behind the last token are no
// tokens.
func parseVocabText(b []byte) map[string]int32 {
	text := strings.TrimRight(string(b), " \t\r\n")
	ids := make(map[string]int32, strings.Count(text, "\n")+1)
	var id int32
	for line := range strings.SplitSeq(text, "\n") {
		ids[strings.TrimSuffix(line, "\r")] = id
		id++
	}
	return ids
}

// unlowered returns the first token, by id, that has a capital, and so is never found in
// lower-cased text; "" if there is none. Names in brackets, as special tokens have, do not count.
func unlowered(ids map[string]int32) (first string) {
	for token, id := range ids {
		if bracketed(token) || strings.IndexFunc(token, isCapital) < 0 {
			continue
		}
		if first == "" || id < ids[first] {
			first = token
		}
	}
	return first
}

// isCapital keeps to the scripts whose capitals are in use: uncased vocabularies have odd
// characters of others.
func isCapital(r rune) bool {
	return unicode.IsUpper(r) && unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Armenian)
}

func bracketed(token string) bool {
	return len(token) > 1 && (token[0] == '[' && token[len(token)-1] == ']' || token[0] == '<' &&
		token[len(token)-1] == '>')
}

// Words are the vocabulary's whole words, by id: tokens of at least two characters, all of them
// letters.
func (t *Tokenizer) Words() []string {
	ids := map[string]int32{}
	for token, id := range t.vocab.ids {
		if t.sub != nil {
			token = t.sub.word(token)
		}
		if utf8.RuneCountInString(token) > 1 && strings.IndexFunc(token, notLetter) < 0 {
			ids[token] = id
		}
	}
	return slices.SortedFunc(maps.Keys(ids), func(a, b string) int { return cmp.Compare(ids[a], ids[b]) })
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }
