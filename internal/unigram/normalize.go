package unigram

import (
	"bytes"
	"regexp"
	"unicode"
	"unicode/utf8"
)

// Step is what happens to a text after its characters are mapped: white space is cut off its ends,
// or runs of two spaces and more become Spaces, unless that is empty.
type Step struct {
	Left, Right bool
	Spaces      string
}

// Normalizer maps a text's characters, and then takes some steps.
type Normalizer struct {
	charsmap charsmap
	mapped   bool
	plain    [128]bool // stands for itself, unless something extends it
	steps    []Step
}

// NewNormalizer makes one of SentencePiece's precompiled map, or of none.
func NewNormalizer(precompiled []byte, steps ...Step) (*Normalizer, error) {
	n := &Normalizer{mapped: precompiled != nil, steps: steps}
	if n.mapped {
		var err error
		if n.charsmap, err = parseCharsmap(precompiled); err != nil {
			return nil, err
		}
	}
	for c := range n.plain {
		_, found := n.charsmap.find(string(rune(c)))
		n.plain[c] = !found && c != '\r'
	}
	return n, nil
}

// Append appends text, valid UTF-8, as it is normalised.
func (n *Normalizer) Append(dst []byte, text string) []byte {
	start := len(dst)
	if n.mapped {
		dst = n.characters(dst, text)
	} else {
		dst = append(dst, text...)
	}
	for _, s := range n.steps {
		dst = s.apply(dst, start)
	}
	return dst
}

func (n *Normalizer) characters(dst []byte, text string) []byte {
	for len(text) > 0 {
		run := 0
		for run < len(text) && text[run] < utf8.RuneSelf && n.plain[text[run]] {
			run++
		}
		if run < len(text) && text[run] >= utf8.RuneSelf && run > 0 {
			run-- // it may be extended by what is behind it
		}
		dst, text = append(dst, text[:run]...), text[run:]
		if len(text) > 0 {
			size := cluster(text)
			dst, text = n.cluster(dst, text[:size]), text[size:]
		}
	}
	return dst
}

func (n *Normalizer) cluster(dst []byte, s string) []byte {
	const short = 6
	if len(s) < short {
		if to, ok := n.charsmap.find(s); ok {
			return append(dst, to...)
		}
	}
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		if to, ok := n.charsmap.find(s[:size]); ok {
			dst = append(dst, to...)
		} else {
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
	return dst
}

// apply takes the step on dst from start on.
func (s Step) apply(dst []byte, start int) []byte {
	part := dst[start:]
	if s.Right {
		part = bytes.TrimRightFunc(part, unicode.IsSpace)
	}
	if s.Left {
		part = bytes.TrimLeftFunc(part, unicode.IsSpace)
	}
	if s.Spaces != "" && bytes.Contains(part, []byte("  ")) {
		part = spaces.ReplaceAllLiteral(part, []byte(s.Spaces))
	}
	return append(dst[:start], part...)
}

// spaces is the pattern of a Step's Spaces.
var spaces = regexp.MustCompile(" {2,}")
