package bpe

import (
	"bytes"
	"unicode/utf8"
)

// class is what GPT-2's pattern sorts characters by.
type class uint8

const (
	other class = iota
	letter
	number
	space
)

func classOf(r rune) class {
	switch {
	case r >= utf8.RuneSelf:
		switch {
		case letters.Has(r):
			return letter
		case numbers.Has(r):
			return number
		case spaces.Has(r):
			return space
		}
	case r|' ' >= 'a' && r|' ' <= 'z':
		return letter
	case r >= '0' && r <= '9':
		return number
	case r == ' ' || r >= '\t' && r <= '\r':
		return space
	}
	return other
}

// contractions stand alone, in lower case only.
var contractions = [][]byte{[]byte("'s"), []byte("'t"), []byte("'re"), []byte("'ve"), []byte("'m"), []byte("'ll"),
	[]byte("'d")}

// word is how many bytes the first word of s has. The pattern is GPT-2's:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func word(s []byte) int {
	if s[0] == '\'' {
		for _, c := range contractions {
			if bytes.HasPrefix(s, c) {
				return len(c)
			}
		}
	}
	begin := 0
	if s[0] == ' ' && len(s) > 1 {
		begin = 1
	}
	r, _ := utf8.DecodeRune(s[begin:])
	if k := classOf(r); k != space {
		end, _ := run(s, begin, k)
		return end
	}
	end, last := run(s, 0, space)
	if end < len(s) && last > 0 { // the last space belongs to the next word
		return last
	}
	return end
}

// run is where the characters of one class end that begin at a place, and where the last one lies.
func run(s []byte, begin int, k class) (end, last int) {
	for end = begin; end < len(s); {
		r, n := utf8.DecodeRune(s[end:])
		if classOf(r) != k {
			break
		}
		last, end = end, end+n
	}
	return end, last
}
