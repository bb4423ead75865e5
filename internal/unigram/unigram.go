package unigram

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Space is what stands for a space, and begins a word.
const Space = "▁"

// unknownPenalty is how much less than the worst piece an unknown character scores.
const unknownPenalty = 10

// Piece is a token and its score, the logarithm of its probability.
type Piece struct {
	Text  string
	Score float64
}

// Model is a vocabulary of pieces.
type Model struct {
	trie       *trie
	scores     []float64
	unk        int32
	unknown    float64 // the score of an unknown character
	split      bool
	workspaces sync.Pool
}

// New makes a model of pieces, by id. unk is the id of what no piece matches. With split, white
// space of any kind parts words and is lost.
func New(pieces []Piece, unk int32, split bool) (*Model, error) {
	if unk < 0 || int(unk) >= len(pieces) {
		return nil, fmt.Errorf("unk_id %d of %d pieces", unk, len(pieces))
	}
	m := &Model{unk: unk, split: split, scores: make([]float64, len(pieces))}
	texts := make([]string, len(pieces))
	for i, p := range pieces {
		switch {
		case p.Text == "":
			return nil, fmt.Errorf("piece %d is empty", i)
		case !(p.Score <= 0):
			return nil, fmt.Errorf("piece %d, %q: score %g, want a logarithm", i, p.Text, p.Score)
		}
		texts[i], m.scores[i], m.unknown = p.Text, p.Score, min(m.unknown, p.Score)
	}
	m.unknown -= unknownPenalty
	m.trie = newTrie(texts)
	m.workspaces.New = func() any { return new(workspace) }
	return m, nil
}

// workspace is a word's memory.
type workspace struct {
	text []byte
	best []step
	ids  []int32
}

// step is the best way to the end of a character.
type step struct {
	score float64
	from  int32 // -1: not reached
	id    int32
}

// Append appends the ids of a normalised text. It may stop when there are more than most of them.
func (m *Model) Append(dst []int32, text []byte, most int) []int32 {
	w := m.workspaces.Get().(*workspace)
	start := len(dst)
	over := func() bool { return len(dst)-start > most }
	if !m.split {
		dst = m.words(dst, text, most, w)
	} else {
		for len(text) > 0 && !over() {
			text = bytes.TrimLeftFunc(text, unicode.IsSpace)
			end := bytes.IndexFunc(text, unicode.IsSpace)
			if end < 0 {
				end = len(text)
			}
			dst, text = m.words(dst, text[:end], most-(len(dst)-start), w), text[end:]
		}
	}
	const keep = 1 << 14
	if cap(w.best) <= keep && cap(w.text) <= keep {
		m.workspaces.Put(w)
	}
	return dst
}

// words puts Space for spaces and before the text, and cuts it before each.
func (m *Model) words(dst []int32, text []byte, most int, w *workspace) []int32 {
	if len(text) == 0 {
		return dst
	}
	s := w.text[:0]
	if text[0] != ' ' && !bytes.HasPrefix(text, []byte(Space)) {
		s = append(s, Space...)
	}
	for len(text) > 0 {
		i := bytes.IndexByte(text, ' ')
		if i < 0 {
			i = len(text)
		}
		s = append(s, text[:i]...)
		if text = text[i:]; len(text) > 0 {
			s, text = append(s, Space...), text[1:]
		}
	}
	w.text = s
	start := len(dst)
	for len(s) > 0 && len(dst)-start <= most {
		end := bytes.Index(s[1:], []byte(Space)) + 1
		if end == 0 {
			end = len(s)
		}
		dst, s = m.word(dst, s[:end], w), s[end:]
	}
	return dst
}

// word appends the ids of the best way through a word.
func (m *Model) word(dst []int32, word []byte, w *workspace) []int32 {
	w.best = slices.Grow(w.best[:0], len(word)+1)[:len(word)+1]
	for i := range w.best {
		w.best[i].from = -1
	}
	w.best[0] = step{}
	for at := 0; at < len(word); {
		at += m.from(at, word, w.best)
	}
	w.ids = w.ids[:0]
	for end := int32(len(word)); end > 0; end = w.best[end].from {
		id, n := w.best[end].id, len(w.ids)
		if id != m.unk || n == 0 || w.ids[n-1] != id { // unknown characters in a row are one
			w.ids = append(w.ids, id)
		}
	}
	slices.Reverse(w.ids)
	return append(dst, w.ids...)
}

// from offers the pieces that begin at a place, and returns how many bytes its character has.
func (m *Model) from(at int, word []byte, best []step) int {
	_, size := utf8.DecodeRune(word[at:])
	score, whole, node := best[at].score, false, int32(root)
	for end := at; end < len(word); {
		if node = m.trie.child(node, word[end]); node == root {
			break
		}
		end++
		if id := m.trie.piece[node]; id >= 0 {
			best[end].offer(score+m.scores[id], at, id)
			whole = whole || end-at == size
		}
	}
	if !whole {
		best[at+size].offer(score+m.unknown, at, m.unk)
	}
	return size
}

func (s *step) offer(score float64, from int, id int32) {
	if s.from < 0 || score > s.score {
		*s = step{score, int32(from), id}
	}
}
