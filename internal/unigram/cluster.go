package unigram

import (
	"sort"
	"unicode/utf8"
)

// kind is a character's part in a cluster, Unicode's extended grapheme cluster.
type kind uint8

const (
	other      kind = iota
	control         // stands alone
	extend          // belongs to what is before it
	prepend         // belongs to what is behind it
	pictograph      // may be joined to another one
)

type kindRange struct {
	first, last rune
	kind        kind
}

const joiner = 0x200d // of pictographs

func kindOf(r rune) kind {
	if r >= ' ' && r < 0x7f {
		return other
	}
	i := sort.Search(len(clusterKinds), func(i int) bool { return clusterKinds[i].last >= r })
	if i < len(clusterKinds) && clusterKinds[i].first <= r {
		return clusterKinds[i].kind
	}
	return other
}

// cluster is how many bytes of s its first cluster has.
func cluster(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	k := kindOf(r)
	if r == '\r' && n < len(s) && s[n] == '\n' {
		return 2
	}
	base := k // of the last character that extends nothing
	for k != control && n < len(s) {
		next, size := utf8.DecodeRuneInString(s[n:])
		now := kindOf(next)
		joined := now == extend || now != control && k == prepend ||
			now == pictograph && r == joiner && base == pictograph
		if !joined {
			break
		}
		if now != extend {
			base = now
		}
		r, k, n = next, now, n+size
	}
	return n
}
