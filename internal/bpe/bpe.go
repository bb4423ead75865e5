package bpe

import (
	"fmt"
	"sync"
)

// Model is a vocabulary and its merges.
type Model struct {
	bytes      [256]int32
	merges     map[pair]merge
	workspaces sync.Pool
}

type pair struct{ left, right int32 }

// merge is when a pair was merged in training, and what it became.
type merge struct{ rank, id int32 }

// New makes a model of tokens, spelled in GPT-2's alphabet for bytes, and of the pairs that were
// merged, the first one first.
func New(vocab map[string]int32, merges [][2]string) (*Model, error) {
	m := &Model{merges: make(map[pair]merge, len(merges))}
	for b := range m.bytes {
		token := string(alphabet[b])
		id, ok := vocab[token]
		if !ok {
			return nil, fmt.Errorf("no token %q for the byte %d", token, b)
		}
		m.bytes[b] = id
	}
	for rank, p := range merges {
		left, ok1 := vocab[p[0]]
		right, ok2 := vocab[p[1]]
		id, ok3 := vocab[p[0]+p[1]]
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("merge %d of %q and %q: not all of them are tokens", rank, p[0], p[1])
		}
		m.merges[pair{left, right}] = merge{int32(rank), id}
	}
	m.workspaces.New = func() any { return new(workspace) }
	return m, nil
}

// Append appends the ids of a text. It may stop when there are more than most of them.
func (m *Model) Append(dst []int32, text []byte, most int) []int32 {
	w := m.workspaces.Get().(*workspace)
	for start := len(dst); len(text) > 0 && len(dst)-start <= most; {
		n := word(text)
		dst, text = m.word(dst, text[:n], w), text[n:]
	}
	const keep = 1 << 14
	if cap(w.ids) <= keep {
		m.workspaces.Put(w)
	}
	return dst
}

// GPT-2's alphabet has a letter for each byte: itself where it is a visible Latin-1 character, else
// the next one from U+0100 on.
var alphabet, fromLetter = func() (letters [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(0x100)
	for b := range letters {
		r := rune(b)
		if visible := r > ' ' && r < 0x7f || r > 0xa0 && r != 0xad; !visible {
			r = next
			next++
		}
		letters[b], back[r] = r, byte(b)
	}
	return letters, back
}()

// Bytes is what a token stands for; false if it is not spelled in the alphabet.
func Bytes(token string) (string, bool) {
	b := make([]byte, 0, len(token))
	for _, r := range token {
		c, ok := fromLetter[r]
		if !ok {
			return "", false
		}
		b = append(b, c)
	}
	return string(b), true
}
