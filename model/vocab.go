package model

import (
	"strings"
)

// maxTokenID bounds ids, and so the embedding rows that a vocabulary can ask for.
const maxTokenID = 1<<22 - 1

// vocab maps words and the later pieces of words to ids.
type vocab struct {
	ids    map[string]int32 // every token as written
	pieces map[string]int32 // the tokens with the continuing prefix, without it
	prefix string
	size   int // largest id + 1
	// longest bounds the greedy match in bytes, so that a long word costs length × longest and not its square.
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
		v.size = max(v.size, int(id)+1)
		v.longest = max(v.longest, len(token))
	}
	return v, nil
}

// parseVocabText reads vocab.txt: one token a line, its id the line's number. As in Hugging Face's loader the last of equal lines wins.
func parseVocabText(b []byte) map[string]int32 {
	text := strings.TrimSuffix(string(b), "\n")
	ids := make(map[string]int32, strings.Count(text, "\n")+1)
	var id int32
	for line := range strings.SplitSeq(text, "\n") {
		ids[strings.TrimSuffix(line, "\r")] = id
		id++
	}
	return ids
}
