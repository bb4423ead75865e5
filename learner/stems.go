package learner

import "context"

// stems keeps what the encoder makes of each example before the first adapter: [tokens,H],
// computed once.
type stems struct {
	from   int         // the block of the first adapter
	states [][]float32 // nil entries are not kept: beyond the budget
}

// newStems computes the states of the first examples, as far as the budget goes.
func newStems(ctx context.Context, env Env, examples []Example, from int, budget int64) (*stems, error) {
	st := &stems{from: from, states: make([][]float32, len(examples))}
	d, n := env.Encoder.Hidden(), 0
	for ; n < len(examples); n++ {
		if budget -= int64(4 * d * len(examples[n].Text.IDs)); budget < 0 {
			break
		}
	}
	states, err := env.Engine.Stems(ctx, textsOf(examples[:n]), from)
	copy(st.states, states)
	return st, err
}

// bytes is the memory that the kept states take.
func (st *stems) bytes() (n int64) {
	for _, x := range st.states {
		n += int64(4 * len(x))
	}
	return n
}
