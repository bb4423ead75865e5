package unigram

import (
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

var errCharsmap = errors.New("precompiled_charsmap is damaged")

// charsmap is SentencePiece's precompiled map from characters, and sequences of them, to text: a
// double-array trie of keys, and the texts, each of which a zero ends.
type charsmap struct {
	units []uint32
	texts string
}

// parseCharsmap reads the trie's size in bytes, the trie, and the texts.
func parseCharsmap(b []byte) (charsmap, error) {
	if len(b) < 4 {
		return charsmap{}, errCharsmap
	}
	size := uint64(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if size == 0 || size%4 != 0 || size > uint64(len(b)) || !utf8.Valid(b[size:]) {
		return charsmap{}, errCharsmap
	}
	c := charsmap{units: make([]uint32, size/4), texts: string(b[size:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return c, nil
}

// find returns what the shortest key that s begins with is mapped to. A damaged trie finds nothing.
func (c charsmap) find(s string) (string, bool) {
	if len(c.units) == 0 {
		return "", false
	}
	at := offset(c.units[0])
	for i := range len(s) {
		k := at ^ uint32(s[i])
		if s[i] == 0 || uint64(k) >= uint64(len(c.units)) {
			return "", false
		}
		unit := c.units[k]
		if unit&(1<<31|0xff) != uint32(s[i]) {
			return "", false
		}
		at = k ^ offset(unit)
		if unit>>8&1 == 1 {
			return c.text(at)
		}
	}
	return "", false
}

// text is that of the key which ends at a node.
func (c charsmap) text(at uint32) (string, bool) {
	if uint64(at) >= uint64(len(c.units)) {
		return "", false
	}
	begin := uint64(c.units[at] &^ (1 << 31))
	if begin > uint64(len(c.texts)) {
		return "", false
	}
	text, _, _ := strings.Cut(c.texts[begin:], "\x00")
	return text, true
}

// offset of a node's children.
func offset(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
