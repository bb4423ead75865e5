package unigram

import (
	"cmp"
	"slices"
	"strings"
)

// trie finds the pieces that a word begins with. A node's children lie side by side, by label:
// those of node i from first[i] to first[i+1].
type trie struct {
	first []int32
	label []byte
	piece []int32 // the piece that ends here, or -1
	roots [256]int32
}

const root = 0

// newTrie makes one of pieces, by id; of equal ones the last counts.
func newTrie(pieces []string) *trie {
	type task struct{ low, high, depth int32 } // pieces of one beginning
	ids := make([]int32, len(pieces))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortFunc(ids, func(a, b int32) int {
		return cmp.Or(strings.Compare(pieces[a], pieces[b]), int(a-b))
	})
	t, tasks := &trie{label: []byte{0}}, []task{{0, int32(len(ids)), 0}}
	for i := 0; i < len(tasks); i++ {
		k, piece := tasks[i], int32(-1)
		for k.low < k.high && len(pieces[ids[k.low]]) == int(k.depth) {
			piece = ids[k.low]
			k.low++
		}
		t.piece, t.first = append(t.piece, piece), append(t.first, int32(len(tasks)))
		for k.low < k.high {
			c, end := pieces[ids[k.low]][k.depth], k.low+1
			for end < k.high && pieces[ids[end]][k.depth] == c {
				end++
			}
			t.label, tasks = append(t.label, c), append(tasks, task{k.low, end, k.depth + 1})
			k.low = end
		}
	}
	t.first = append(t.first, int32(len(tasks)))
	for i := t.first[root]; i < t.first[root+1]; i++ {
		t.roots[t.label[i]] = i // they are many
	}
	return t
}

// child returns the node behind c, or root for none.
func (t *trie) child(node int32, c byte) int32 {
	if node == root {
		return t.roots[c]
	}
	low, high := t.first[node], t.first[node+1]
	for high-low > 4 {
		if mid := (low + high) / 2; t.label[mid] <= c {
			low = mid
		} else {
			high = mid
		}
	}
	for ; low < high; low++ {
		if t.label[low] == c {
			return low
		}
	}
	return root
}
