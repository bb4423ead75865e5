package model

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Tokenizer is BERT's: normalisation, words, WordPiece; or it is Unigram or byte-level BPE. It is
// immutable and safe for concurrent use.
type Tokenizer struct {
	flags    tokenizerFlags
	vocab    *vocab
	sub      *subwords // nil for WordPiece
	added    *addedTokens
	maxChars int // a longer word is unknown
	length   int // of a text in tokens, as the folder's files say; 0 if they do not

	cls, sep, unk int32

	ascii    [256]asciiClass
	points   [128]int32 // the ids of ASCII punctuation, which no word contains
	scanners sync.Pool
	digests  sync.Map // [32]byte by maxTokens
}

// tokenizerFlags are BertNormalizer's.
type tokenizerFlags struct {
	CleanText, HandleChineseChars, StripAccents, Lowercase bool
}

// tokenizerSpec is what the files of any kind of tokenizer folder come down to.
type tokenizerSpec struct {
	flags         tokenizerFlags
	vocab         map[string]int32
	prefix        string // of a word's later pieces
	maxChars      int
	cls, sep, unk string
	added         []addedToken
	sub           *subwords // nil for WordPiece
}

func newTokenizer(spec *tokenizerSpec) (*Tokenizer, error) {
	if spec.sub != nil {
		return newSubwordTokenizer(spec)
	}
	v, err := newVocab(spec.vocab, spec.prefix)
	if err != nil {
		return nil, err
	}
	if spec.maxChars < 1 || spec.maxChars > 10_000 {
		return nil, tokenizerf("max_input_chars_per_word: got %d, want 1 to 10000", spec.maxChars)
	}
	t := &Tokenizer{flags: spec.flags, vocab: v, maxChars: spec.maxChars, ascii: asciiTable(spec.flags.CleanText)}
	if t.added, err = addTokens(v, spec.added); err != nil {
		return nil, err
	}
	if err := t.setSpecials(spec); err != nil {
		return nil, err
	}
	for c := range t.points {
		t.points[c] = t.unk
		if id, ok := v.ids[string(rune(c))]; ok {
			t.points[c] = id
		}
	}
	return t, nil
}

func (t *Tokenizer) setSpecials(spec *tokenizerSpec) error {
	for _, special := range []struct {
		token string
		id    *int32
	}{{spec.cls, &t.cls}, {spec.sep, &t.sep}, {spec.unk, &t.unk}} {
		id, ok := t.lookup(special.token)
		if !ok {
			return tokenizerf("special token %q is not in the vocabulary", special.token)
		}
		*special.id = id
	}
	t.scanners.New = func() any { return &scanner{t: t} }
	return nil
}

func (t *Tokenizer) lookup(token string) (int32, bool) {
	if id, ok := t.vocab.ids[token]; ok {
		return id, true
	}
	id, ok := t.added.ids[token]
	return id, ok
}

// VocabSize is the largest id that Encode can give, plus one.
func (t *Tokenizer) VocabSize() int { return t.vocab.size }

// FoldsCase says whether upper and lower case are one to the tokenizer.
func (t *Tokenizer) FoldsCase() bool { return t.flags.Lowercase }

// Digest is the SHA-256 of all that decides what Encode returns under a limit: flags, special ids,
// added tokens, vocabulary, maxTokens. It does not depend on which files the tokenizer was read
// from.
func (t *Tokenizer) Digest(maxTokens int) [32]byte {
	if d, ok := t.digests.Load(maxTokens); ok {
		return d.([32]byte)
	}
	h := sha256.New()
	w := bufio.NewWriter(h)
	f := t.flags
	if t.sub != nil {
		t.sub.write(w, t, maxTokens)
	} else {
		fmt.Fprintf(w, "xpeft tokenizer 1\nwordpiece clean=%t han=%t strip=%t lower=%t chars=%d prefix=%q cls=%d "+
			"sep=%d unk=%d max=%d\n",
			f.CleanText, f.HandleChineseChars, f.StripAccents, f.Lowercase, t.maxChars, t.vocab.prefix, t.cls, t.sep,
			t.unk, maxTokens)
	}
	writeTokens(w, t.added.ids)
	writeTokens(w, t.vocab.ids)
	w.Flush() // a hash takes all
	d := [32]byte(h.Sum(nil))
	t.digests.Store(maxTokens, d)
	return d
}

// writeTokens writes a count, then for each token its id, its length and its bytes, by id.
func writeTokens(w *bufio.Writer, ids map[string]int32) {
	type entry struct {
		id    int32
		token string
	}
	tokens := make([]entry, 0, len(ids))
	for token, id := range ids {
		tokens = append(tokens, entry{id, token})
	}
	slices.SortFunc(tokens, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.id, b.id), strings.Compare(a.token, b.token))
	})
	le := binary.LittleEndian
	w.Write(le.AppendUint64(w.AvailableBuffer(), uint64(len(tokens))))
	for _, e := range tokens {
		w.Write(le.AppendUint32(le.AppendUint32(w.AvailableBuffer(), uint32(e.id)), uint32(len(e.token))))
		w.WriteString(e.token)
	}
}

// Bounds of what DefaultMaxTokens gives.
const (
	fallbackTokens = 128 // where the folder says nothing
	mostTokens     = 256 // a text's time grows faster than its length
)

// DefaultMaxTokens is the limit on tokens that the model's own folder sets: max_seq_length of
// sentence_bert_config.json, else model_max_length of tokenizer_config.json, else 128. It is at
// most 256, and at most the model's positions.
func (t *Tokenizer) DefaultMaxTokens(c Config) int {
	n := t.length
	if n == 0 {
		n = fallbackTokens
	}
	return min(n, mostTokens, c.MaxPositionEmbeddings)
}
