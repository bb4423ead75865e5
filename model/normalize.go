package model

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// scanner runs a text through BertNormalizer, BertPreTokenizer and WordPiece in one pass: character
// by character, without a normalised copy. Each method is one stage and hands on to the next.
type scanner struct {
	t     *Tokenizer
	word  []byte // the word being read, normalised
	runes int    // its characters, also those beyond the limit that word leaves out
	// marks waits for the end of a run of combining characters, which NFD sorts.
	marks []mark
	found []int32 // the pieces of a word, until it is known to have no unknown one
	pair  []int32 // the second text, until the cut is known
	norm  []byte  // a text before it is cut into subwords

	ids   []int32 // the output
	limit int     // how many ids are kept
	room  int     // how many more
	n     int     // how many there were
	all   bool    // go on beyond the limit, to count
}

// over says whether the rest of the text changes nothing. That the text is longer than the limit
// is known by then.
func (s *scanner) over() bool { return s.n > s.limit && !s.all }

type mark struct {
	r     rune
	class uint8
}

// text reads a text between two added tokens.
func (s *scanner) text(text string) {
	classes := &s.t.ascii
	for i := 0; i < len(text); {
		if s.over() {
			break
		}
		c := text[i]
		class := classes[c]
		if class == wide {
			i += s.clean(text[i:])
			continue
		}
		if class == dropped {
			i++
			continue
		}
		s.endMarks()
		switch class {
		case letter:
			j := i + 1
			for j < len(text) && classes[text[j]] == letter {
				j++
			}
			s.letters(text[i:j])
			i = j
			continue
		case blank:
			s.endWord()
		case point:
			s.endWord()
			s.emit(s.t.points[c])
		}
		i++
	}
	s.endMarks()
	s.endWord()
}

// letters appends a run of ASCII to the word.
func (s *scanner) letters(run string) {
	s.runes += len(run)
	if s.runes > s.t.maxChars {
		return // the word is unknown whatever it is
	}
	n := len(s.word)
	s.word = append(s.word, run...)
	if s.t.flags.Lowercase {
		for i, c := range s.word[n:] {
			if c >= 'A' && c <= 'Z' {
				s.word[n+i] = c + ('a' - 'A')
			}
		}
	}
}

// clean reads one character beyond ASCII and returns its bytes. A byte that is no character counts
// as U+FFFD.
func (s *scanner) clean(text string) int {
	r, n := utf8.DecodeRuneInString(text)
	han := s.t.flags.HandleChineseChars && isHan(r)
	if han && r < 0xf900 { // those below the compatibility block pass all stages unchanged
		s.space()
		s.append(r)
		s.endWord()
		return n
	}
	if s.t.flags.CleanText {
		if droppedChars.Has(r) {
			return n
		}
		if unicode.IsSpace(r) {
			s.space()
			return n
		}
	}
	if han {
		s.space()
	}
	if s.t.flags.StripAccents {
		s.decompose(r, text[:n])
	} else {
		s.lower(r)
	}
	if han {
		s.space()
	}
	return n
}

func (s *scanner) space() {
	s.endMarks()
	s.endWord()
}

// decompose is NFD of one character. Hangul syllables are arithmetic and not in the table.
func (s *scanner) decompose(r rune, text string) {
	const base, vowels, tails = 0xac00, 21, 28
	if r >= base && r < base+19*vowels*tails {
		i := r - base
		s.combine(0x1100+i/(vowels*tails), 0)
		s.combine(0x1161+i/tails%vowels, 0)
		if tail := i % tails; tail != 0 {
			s.combine(0x11a7+tail, 0)
		}
		return
	}
	p := norm.NFD.PropertiesString(text)
	parts := p.Decomposition()
	if parts == nil {
		s.combine(r, p.CCC())
		return
	}
	for len(parts) > 0 {
		part, n := utf8.DecodeRune(parts)
		s.combine(part, norm.NFD.Properties(parts).CCC())
		parts = parts[n:]
	}
}

// combine drops accents and holds back other combining characters until their run ends: NFD orders
// a run by class. Dropping before the sort instead of after it gives the same, since the sort is
// stable.
func (s *scanner) combine(r rune, class uint8) {
	accent := r >= 0x80 && markChars.Has(r)
	if class != 0 {
		if !accent {
			s.marks = append(s.marks, mark{r, class})
		}
		return
	}
	s.endMarks()
	if !accent {
		s.lower(r)
	}
}

// endMarks ends a run of combining characters.
func (s *scanner) endMarks() {
	if len(s.marks) == 0 {
		return
	}
	slices.SortStableFunc(s.marks, func(a, b mark) int { return int(a.class) - int(b.class) })
	for _, m := range s.marks {
		s.lower(m.r)
	}
	s.marks = s.marks[:0]
}

func (s *scanner) lower(r rune) {
	if s.t.flags.Lowercase {
		if r == 'İ' { // the one character that becomes two, whatever its neighbours
			s.char('i')
			r = 0x307
		}
		r = unicode.ToLower(r)
	}
	s.char(r)
}

// char is BertPreTokenizer: spaces part words, punctuation stands alone.
func (s *scanner) char(r rune) {
	switch {
	case r < 0x80 && s.t.ascii[r] == point:
		s.endWord()
		s.emit(s.t.points[r])
	case unicode.IsSpace(r):
		s.endWord()
	case r >= 0x80 && punctChars.Has(r):
		s.endWord()
		s.append(r)
		s.endWord()
	default:
		s.append(r)
	}
}

func (s *scanner) append(r rune) {
	s.runes++
	if s.runes <= s.t.maxChars {
		s.word = utf8.AppendRune(s.word, r)
	}
}

func (s *scanner) endWord() {
	if s.runes == 0 {
		return
	}
	if s.runes > s.t.maxChars {
		s.emit(s.t.unk)
	} else {
		s.wordPiece(s.word)
	}
	s.word, s.runes = s.word[:0], 0
}

func (s *scanner) emit(id int32) {
	s.n++
	if s.room > 0 {
		s.ids = append(s.ids, id)
		s.room--
	}
}

// wordPiece appends the WordPiece ids of a word: at each place the longest token that fits, or one
// unknown for the whole word.
func (s *scanner) wordPiece(word []byte) {
	v := s.t.vocab
	if id, ok := v.ids[string(word)]; ok {
		s.emit(id)
		return
	}
	found, table := s.found[:0], v.ids
	for len(word) > 0 {
		id, n := longestToken(table, word, v.longest)
		if n == 0 {
			s.emit(s.t.unk)
			return
		}
		found = append(found, id)
		word, table = word[n:], v.pieces
	}
	for _, id := range found {
		s.emit(id)
	}
	s.found = found
}

// longestToken returns the longest prefix of word that is in the table, and its bytes; 0 bytes if
// none is. Tokens are whole characters, so cutting inside one finds nothing and needs no test.
func longestToken(table map[string]int32, word []byte, longest int) (id int32, n int) {
	for n = min(len(word), longest); n > 0; n-- {
		if id, ok := table[string(word[:n])]; ok {
			return id, n
		}
	}
	return 0, 0
}
