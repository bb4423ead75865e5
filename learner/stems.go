package learner

import (
	"context"

	"github.com/xpeft/xpeft/internal/engine"
)

// stems keeps what the encoder makes of each example before the first adapter, computed once:
// [tokens,H] and, where heads see φ, the mean states after its blocks there.
type stems struct {
	from   int         // the block of the first adapter; -1: the embeddings, of which nothing is kept
	states [][]float32 // nil entries are not kept: beyond the budget
	below  [][]float32 // [taps·H] each, of no tap where heads see the pooled embedding
}

// part is that of the examples from one up to another.
func (st *stems) part(from, to int) *stems {
	return &stems{st.from, st.states[from:to:to], st.below[from:to:to]}
}

// pick is that of some of the examples.
func (st *stems) pick(which []int) *stems {
	out := &stems{from: st.from}
	for _, i := range which {
		out.states, out.below = append(out.states, st.states[i]), append(out.below, st.below[i])
	}
	return out
}

// newStems computes the states of the first examples, as far as the budget goes.
func newStems(ctx context.Context, env Env, examples []Example, from int, budget int64) (*stems, error) {
	st := &stems{from: from, states: make([][]float32, len(examples))}
	d, n := env.Encoder.Hidden(), 0
	for ; from >= 0 && n < len(examples); n++ {
		if budget -= int64(4 * d * len(examples[n].Text.IDs)); budget < 0 {
			break
		}
	}
	taps, _ := env.taps(from)
	texts, width := textsOf(examples), len(taps)*d
	below := make([]float32, len(texts)*width)
	states, err := env.Engine.Stems(ctx, texts[:n], max(from, 0), taps, below[:n*width])
	copy(st.states, states)
	if rest := texts[n:]; err == nil && len(rest) > 0 && width > 0 {
		err = env.Engine.Embed(ctx, engine.Rows{Texts: rest}, nil, make([]float32, len(rest)*d), taps, below[n*width:])
	}
	for i := range texts {
		st.below = append(st.below, below[i*width:(i+1)*width])
	}
	return st, err
}

// bytes is the memory that the kept states take.
func (st *stems) bytes() (n int64) {
	for _, x := range st.states {
		n += int64(4 * len(x))
	}
	return n
}
