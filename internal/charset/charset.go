// Package charset is sets of characters that tokenizers are made of. They are data and not package
// unicode's, for two reasons: Hugging Face's are those of another Unicode, and Go's change with Go.
package charset

import "sort"

// Set is a set of characters: ascending, inclusive ranges.
type Set [][2]rune

// Has says whether a character is in the set.
func (s Set) Has(r rune) bool {
	i := sort.Search(len(s), func(i int) bool { return s[i][1] >= r })
	return i < len(s) && s[i][0] <= r
}
