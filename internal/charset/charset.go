// Package charset is sets of characters that tokenizers are made of. They are data and not package
// unicode's, for two reasons: Hugging Face's are those of another Unicode, and Go's change with Go.
package charset

// Set is a set of characters: ascending, inclusive ranges.
type Set [][2]rune

// Has says whether a character is in the set.
func (s Set) Has(r rune) bool {
	low, high := 0, len(s)
	for low < high {
		mid := (low + high) / 2
		switch {
		case s[mid][1] < r:
			low = mid + 1
		case s[mid][0] > r:
			high = mid
		default:
			return true
		}
	}
	return false
}
