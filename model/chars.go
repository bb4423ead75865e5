package model

// isHan is BERT's "Chinese character", with Hugging Face's 0x2B920 in place of 0x2B820.
func isHan(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4dbf, r >= 0x4e00 && r <= 0x9fff, r >= 0xf900 && r <= 0xfaff:
		return true
	case r < 0x20000:
		return false
	}
	return r <= 0x2a6df || r >= 0x2a700 && r <= 0x2b81f || r >= 0x2b920 && r <= 0x2ceaf || r >= 0x2f800 && r <= 0x2fa1f
}

// asciiClass is what a byte does to the word being read.
type asciiClass uint8

const (
	wide    asciiClass = iota // the first byte of a character beyond ASCII, or no character at all
	letter                    // belongs to the word
	blank                     // ends it
	point                     // ends it and is a word itself
	dropped                   // is not there
)

// asciiTable sorts the bytes once per tokenizer.
func asciiTable(cleanText bool) (table [256]asciiClass) {
	for c := range 0x80 {
		switch {
		case c == ' ' || c >= '\t' && c <= '\r':
			table[c] = blank
		case c >= '!' && c <= '/', c >= ':' && c <= '@', c >= '[' && c <= '`', c >= '{' && c <= '~':
			table[c] = point
		default:
			table[c] = letter
		}
		if control := c < ' ' || c == 0x7f; cleanText && control && c != '\t' && c != '\n' && c != '\r' {
			table[c] = dropped
		}
	}
	return table
}
