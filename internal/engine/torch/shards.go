//go:build torch && cgo

package torch

import (
	"slices"

	"github.com/xpeft/xpeft/model"
)

const (
	// shardTokens bounds the tokens of a shard of several rows, padding included. More would leave
	// cores without work; less would cost, as small products are slow.
	shardTokens = 256
	// shardCost is what a shard costs beside its tokens, in tokens: small products are slower, and
	// each operator has its price. Measured: a step of MiniLM takes 0.57 ms a token and 15 ms a
	// shard.
	shardCost = 26
	// shardThreads is for how many threads shards are dealt. It is fixed, so that sums do not
	// depend on the machine's.
	shardThreads = 2
)

// shards deals rows, by their tokens, to parts that run side by side. Rows of like lengths go
// together, long ones first, so that little is padding; of the limits to a part's tokens it takes
// the one with which all are done first. The same lengths give the same shards.
func shards(texts []model.Encoding, rows []int) (best [][]int) {
	order := byLength(texts, rows)
	least, longest := 0, len(texts[order[0]].IDs)
	for limit := longest; limit <= max(longest, min(shardTokens, longest*len(order))); limit += 4 {
		parts := cut(order, texts, limit)
		if took := makespan(parts, texts); best == nil || took < least {
			best, least = parts, took
		}
	}
	return best
}

// cut makes parts of at most limit tokens, or one row, of rows from long to short.
func cut(order []int, texts []model.Encoding, limit int) (parts [][]int) {
	for len(order) > 0 {
		n := min(max(1, limit/len(texts[order[0]].IDs)), len(order))
		parts, order = append(parts, order[:n:n]), order[n:]
	}
	return parts
}

// makespan is when the last part ends if each is begun, in order, by the first thread that is free.
func makespan(parts [][]int, texts []model.Encoding) int {
	var free [shardThreads]int
	for _, part := range parts {
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		free[first] += len(part)*len(texts[part[0]].IDs) + shardCost
	}
	return slices.Max(free[:])
}

// byLength orders rows from long to short.
func byLength(texts []model.Encoding, rows []int) []int {
	order := slices.Clone(rows)
	slices.SortStableFunc(order, func(a, b int) int { return len(texts[b].IDs) - len(texts[a].IDs) })
	return order
}

// every is 0 to n-1.
func every(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
