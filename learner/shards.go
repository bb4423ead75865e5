package learner

import "slices"

const (
	// shardTokens bounds the tokens of a shard of several rows, padding included: what a shard's graph takes is 20·d floats a token and block.
	shardTokens = 1024
	// shardCost is what a shard costs beside its tokens, in tokens: small products are slower, and each operator has its price. Measured: a step of MiniLM takes
	// 0.57 ms a token and 15 ms a shard.
	shardCost = 26
)

// shards deals a step's rows, by their tokens, to parts that run on so many threads at once. Rows of like lengths go together, long ones first, so that little is
// padding; of the limits to a part's tokens it takes the one with which all are done first. The same lengths and threads give the same shards.
func shards(tokens []int, threads int) (best [][]int) {
	order := every(len(tokens))
	slices.SortStableFunc(order, func(a, b int) int { return tokens[b] - tokens[a] })
	least, longest := 0, tokens[order[0]]
	for limit := longest; limit <= max(longest, min(shardTokens, longest*len(order))); limit += 4 {
		parts := cut(order, tokens, limit)
		if took := makespan(parts, tokens, threads); best == nil || took < least {
			best, least = parts, took
		}
	}
	return best
}

// cut makes parts of at most limit tokens, or one row, of rows from long to short.
func cut(order, tokens []int, limit int) (parts [][]int) {
	for len(order) > 0 {
		n := min(max(1, limit/tokens[order[0]]), len(order))
		parts, order = append(parts, order[:n:n]), order[n:]
	}
	return parts
}

// makespan is when the last part ends if each is begun, in order, by the first thread that is free.
func makespan(parts [][]int, tokens []int, threads int) int {
	free := make([]int, threads)
	for _, part := range parts {
		first := 0
		for i := range free {
			if free[i] < free[first] {
				first = i
			}
		}
		free[first] += len(part)*tokens[part[0]] + shardCost
	}
	return slices.Max(free)
}

// every is 0 to n-1.
func every(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
