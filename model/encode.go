package model

import "math"

// Encoding is a text, or a pair, as the encoder takes it: [CLS] text [SEP], or [CLS] text [SEP]
// pair [SEP] with type 1 from the pair on. With Unigram and BPE it is <s> text </s>, or <s> text
// </s></s> pair </s>, and all types are 0.
type Encoding struct {
	IDs       []int32
	TypeIDs   []int32
	Truncated bool // the limit cut something off
	// Windows are the lengths of the windows that lie one after another in IDs, each of which the
	// encoder takes as a text of its own; none: IDs are one text.
	Windows []int32
}

// Encode overwrites dst, reusing its memory. An empty pair is no pair. At most maxTokens ids are
// kept, special tokens included: a text loses its end; of a pair the longer loses its end first,
// then both. 0 is no limit; a limit below MinTokens may leave special tokens only, and never drops
// those. Special tokens written out in the text, such as "[SEP]", become those tokens, as in
// Hugging Face's tokenizers.
func (t *Tokenizer) Encode(dst *Encoding, text, pair string, maxTokens int) {
	s := t.scanners.Get().(*scanner)
	defer t.release(s)
	dst.Windows = nil
	specials := 2
	if pair != "" {
		specials = 3 + t.secondSep()
	}
	room := math.MaxInt
	if maxTokens > 0 {
		room = max(0, maxTokens-specials)
	}
	ids, n := s.run(append(dst.IDs[:0], t.cls), text, room, pair != "")
	if dst.Truncated = n > room; pair == "" {
		dst.IDs = append(ids, t.sep)
		dst.TypeIDs = appendTypes(dst.TypeIDs[:0], len(dst.IDs), 0)
		return
	}
	var m int
	s.pair, m = s.run(s.pair[:0], pair, room, true)
	keepText, keepPair := longestFirst(n, m, room)
	dst.Truncated = keepText < n || keepPair < m
	ids = append(ids[:1+keepText], t.sep)
	for range t.secondSep() {
		ids = append(ids, t.sep)
	}
	dst.TypeIDs = appendTypes(dst.TypeIDs[:0], len(ids), 0)
	ids = append(ids, s.pair[:keepPair]...)
	dst.IDs = append(ids, t.sep)
	dst.TypeIDs = appendTypes(dst.TypeIDs, keepPair+1, t.pairType())
}

// Unknown is how many of an encoding's tokens stand for what the vocabulary does not have, of how
// many, special tokens aside. Byte-level BPE knows all.
func (t *Tokenizer) Unknown(e *Encoding) (unknown, of int) {
	for _, id := range e.IDs {
		switch id {
		case t.cls, t.sep:
		case t.unk:
			unknown++
			of++
		default:
			of++
		}
	}
	return unknown, of
}

// secondSep is how many more tokens than one stand between the texts of a pair.
func (t *Tokenizer) secondSep() int {
	if t.sub != nil {
		return 1
	}
	return 0
}

// pairType is the type of the second text's tokens.
func (t *Tokenizer) pairType() int32 {
	if t.sub != nil {
		return 0
	}
	return 1
}

// run appends the ids of a text, at most room of them, and returns how many there are (with all)
// or at least were seen: more than room if there are more.
func (s *scanner) run(ids []int32, text string, room int, all bool) ([]int32, int) {
	s.ids, s.room, s.limit, s.n, s.all = ids, room, room, 0, all
	if s.t.sub != nil {
		s.subwords(text)
		text = ""
	}
	for {
		at, end, id := s.t.added.next(text)
		s.text(text[:at])
		if at == len(text) || s.over() {
			break
		}
		s.emit(id)
		text = text[end:]
	}
	ids, s.ids = s.ids, nil
	return ids, s.n
}

// longestFirst says how many ids of two texts of n and m are kept in room. Where both must be cut
// the text that is longer, or the second of two equals, gets the odd place.
func longestFirst(n, m, room int) (int, int) {
	if n <= room && m <= room-n {
		return n, m
	}
	short := min(n, m, room/2) // both are cut, or the longer only
	long := room - short
	if n > m {
		return long, short
	}
	return short, long
}

func appendTypes(dst []int32, n int, kind int32) []int32 {
	for range n {
		dst = append(dst, kind)
	}
	return dst
}

// release hands a scanner back, unless one odd text made it large.
func (t *Tokenizer) release(s *scanner) {
	const keep = 1 << 14
	if cap(s.pair) <= keep && cap(s.marks) <= keep && cap(s.norm) <= keep && cap(s.found) <= keep {
		t.scanners.Put(s)
	}
}
