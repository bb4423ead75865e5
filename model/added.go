package model

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// addedTokens finds the tokens that are matched in the raw text, before normalisation: leftmost
// first, of several at one place the longest.
type addedTokens struct {
	ids     map[string]int32
	lengths [256][]int // by first byte: the lengths that occur, longest first
	first   string     // the first characters that occur

	left, right map[int32]bool // those that swallow the spaces beside them
}

func newAddedTokens(ids map[string]int32) *addedTokens {
	a := &addedTokens{ids: ids}
	for token := range ids {
		c := token[0]
		if !slices.Contains(a.lengths[c], len(token)) {
			a.lengths[c] = append(a.lengths[c], len(token))
		}
		if r, _ := utf8.DecodeRuneInString(token); !strings.ContainsRune(a.first, r) {
			a.first += string(r)
		}
	}
	for _, lengths := range a.lengths {
		slices.SortFunc(lengths, func(x, y int) int { return y - x })
	}
	return a
}

// next returns where the next added token begins and ends, and its id; len(text) twice if there is
// none.
func (a *addedTokens) next(text string) (at, end int, id int32) {
	for at < len(text) {
		i := strings.IndexAny(text[at:], a.first) // BERT's all begin with "["
		if i < 0 {
			break
		}
		at += i
		for _, n := range a.lengths[text[at]] {
			if n > len(text)-at {
				continue
			}
			if id, ok := a.ids[text[at:at+n]]; ok {
				return at, at + n, id
			}
		}
		at++
	}
	return len(text), len(text), 0
}

// addedToken is an entry of tokenizer.json's added_tokens. To WordPiece, whose tokens contain no
// spaces, LStrip and RStrip do nothing.
type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	Special    bool   `json:"special"`
	SingleWord bool   `json:"single_word"`
	Normalized bool   `json:"normalized"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
}

// addTokens checks the added tokens against the vocabulary, and widens its size to theirs.
func addTokens(v *vocab, tokens []addedToken) (*addedTokens, error) {
	ids := make(map[string]int32, len(tokens))
	left, right := map[int32]bool{}, map[int32]bool{}
	for _, token := range tokens {
		known, inVocab := v.ids[token.Content]
		earlier, twice := ids[token.Content]
		switch {
		case token.Content == "":
			return nil, tokenizerf("added token %d is empty", token.ID)
		case token.SingleWord || token.Normalized:
			return nil, unsupportedf("added token %q: single_word or normalized", token.Content)
		case token.ID < 0 || token.ID > maxTokenID:
			return nil, tokenizerf("added token %q: id %d, want 0 to %d", token.Content, token.ID, maxTokenID)
		case inVocab && known != token.ID, twice && earlier != token.ID:
			return nil, tokenizerf("added token %q: id %d, want %d as in the vocabulary", token.Content, token.ID,
				max(known, earlier))
		}
		ids[token.Content] = token.ID
		if token.LStrip {
			left[token.ID] = true
		}
		if token.RStrip {
			right[token.ID] = true
		}
		v.size = max(v.size, int(token.ID)+1)
	}
	a := newAddedTokens(ids)
	a.left, a.right = left, right
	return a, nil
}
