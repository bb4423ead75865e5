package model

import (
	"bufio"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xpeft/xpeft/internal/unigram"
)

// subwords is what a tokenizer has in place of BertNormalizer and WordPiece: Unigram or byte-level
// BPE, behind a normalizer.
type subwords struct {
	kind       string // Unigram or BPE
	normalizer *unigram.Normalizer
	model      interface {
		Append(dst []int32, text []byte, most int) []int32
	}
	word   func(token string) string // the text of a token that begins a word, else ""
	digest [32]byte                  // of all that decides ids, but for tokens and their ids
	late   *addedTokens              // those that are looked for in normalised text
}

// newSubwordTokenizer is newTokenizer for a specification with subwords.
func newSubwordTokenizer(spec *tokenizerSpec) (*Tokenizer, error) {
	v := &vocab{ids: spec.vocab}
	for token, id := range spec.vocab {
		if id < 0 || id > maxTokenID {
			return nil, tokenizerf("token %q: id %d, want 0 to %d", token, id, maxTokenID)
		}
		v.size = max(v.size, int(id)+1)
	}
	t, sub := &Tokenizer{vocab: v}, *spec.sub
	t.sub = &sub
	var early, late []addedToken
	for _, token := range spec.added {
		if !token.Normalized {
			early = append(early, token)
			continue
		}
		token.Normalized = false
		late = append(late, token)
	}
	var err error
	if t.added, err = addTokens(v, early); err != nil {
		return nil, err
	}
	if t.sub.late, err = addTokens(v, late); err != nil {
		return nil, err
	}
	if err := t.sub.normalizeLate(late); err != nil {
		return nil, err
	}
	if _, ok := t.lookup(spec.unk); !ok && sub.kind == "BPE" {
		spec.unk = spec.cls // its bytes leave nothing unknown
	}
	return t, t.setSpecials(spec)
}

// normalizeLate spells the late tokens as normalised text has them.
func (sub *subwords) normalizeLate(tokens []addedToken) error {
	ids := make(map[string]int32, len(tokens))
	for _, token := range tokens {
		content := string(sub.normalizer.Append(nil, token.Content))
		if content == "" {
			return unsupportedf("added token %q: normalized, of which nothing is left", token.Content)
		}
		ids[content] = token.ID
	}
	late := newAddedTokens(ids)
	late.left, late.right = sub.late.left, sub.late.right
	sub.late = late
	return nil
}

// subwords reads a whole text.
func (s *scanner) subwords(text string) {
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // a byte that is no character counts as U+FFFD
	}
	sub := s.t.sub
	s.segments(text, s.t.added, func(segment string) {
		s.norm = sub.normalizer.Append(s.norm[:0], segment)
		if len(sub.late.ids) == 0 {
			s.pieces(s.norm)
			return
		}
		s.segments(string(s.norm), sub.late, func(part string) { s.pieces([]byte(part)) })
	})
}

// segments reads a text between added tokens, some of which swallow the spaces beside them.
func (s *scanner) segments(text string, added *addedTokens, read func(segment string)) {
	for len(text) > 0 && !s.over() {
		at, end, id := added.next(text)
		segment, rest := text[:at], text[end:]
		found := at < len(text)
		if found && added.left[id] {
			segment = strings.TrimRightFunc(segment, unicode.IsSpace)
		}
		if found && added.right[id] {
			rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
		}
		if segment != "" {
			read(segment)
		}
		if found {
			s.emit(id)
		}
		text = rest
	}
}

func (s *scanner) pieces(text []byte) {
	most := math.MaxInt
	if !s.all {
		most = s.limit - s.n
	}
	s.found = s.t.sub.model.Append(s.found[:0], text, most)
	for _, id := range s.found {
		s.emit(id)
	}
}

// write is subwords' part of the tokenizer's digest.
func (sub *subwords) write(h *bufio.Writer, t *Tokenizer, maxTokens int) {
	fmt.Fprintf(h, "xpeft tokenizer 1\n%s %x cls=%d sep=%d unk=%d max=%d left=%v right=%v late=%v %v %v\n",
		strings.ToLower(sub.kind), sub.digest, t.cls, t.sep, t.unk, maxTokens, t.added.left, t.added.right,
		sub.late.ids, sub.late.left, sub.late.right)
}
