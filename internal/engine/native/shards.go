package native

import (
	"context"
	"runtime"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/model"
)

// A shard has so many tokens, or one text: many enough that the encoder's weights are read for
// many tokens at once, and few enough that a call ends soon after its context.
const (
	fewTokens  = 64
	manyTokens = 384
)

// shards calls f for runs of texts, side by side. The first run's error counts.
func (n *native) shards(ctx context.Context, texts []model.Encoding, f func(lo, hi int) error) error {
	all := 0
	for _, t := range texts {
		all += len(t.IDs)
	}
	limit := min(max(all/runtime.GOMAXPROCS(0)+1, fewTokens), manyTokens)
	var runs [][2]int
	lo, tokens := 0, 0
	for i, t := range texts {
		if tokens += len(t.IDs); tokens >= limit || i == len(texts)-1 {
			runs = append(runs, [2]int{lo, i + 1})
			lo, tokens = i+1, 0
		}
	}
	errs := make([]error, len(runs))
	if err := engine.Each(ctx, len(runs), func(i int) { errs[i] = f(runs[i][0], runs[i][1]) }); err != nil {
		return err
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
