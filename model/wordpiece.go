package model

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
