//go:build cgo

package learner

import (
	"context"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// trainer takes steps: everything that a step needs and that outlives it.
type trainer struct {
	env    Env
	source source
	output *output
	opt    *adamW
}

func newTrainer(env Env, src source, out *output, decay float64) *trainer {
	return &trainer{env: env, source: src, output: out,
		opt: &adamW{params: append(src.params(), out.params()...), decay: decay}}
}

// batch is a step's examples.
type batch struct {
	examples []Example
	owner    []int // whose row each is; nil: all of the only profile
	// embed makes the pooled embeddings [B,H] of some rows under their adapter.
	embed func(s *torch.Scope, rows []int, a *model.Adapter) (torch.Tensor, error)
	whole bool // its rows are not worth splitting
	mean  bool // the loss is the mean over all rows, not the sum of the profiles' means
}

// weights are each row's share of the loss.
func (b *batch) weights() []float32 {
	rows := map[int]int{}
	for i := range b.examples {
		rows[b.of(i)]++
	}
	total := len(b.examples)
	w := make([]float32, len(b.examples))
	for i := range w {
		w[i] = 1 / float32(rows[b.of(i)])
		if b.mean {
			w[i] = 1 / float32(total)
		}
		if x := b.examples[i].Weight; x != 0 {
			w[i] *= x
		}
	}
	return w
}

// of is whose a row is.
func (b *batch) of(row int) int {
	if b.owner == nil {
		return 0
	}
	return b.owner[row]
}

// shards are the parts of a Fork that the rows are dealt to.
func (b *batch) shards(s *torch.Scope) [][]int {
	tokens := make([]int, len(b.examples))
	for i, e := range b.examples {
		tokens[i] = len(e.Text.IDs)
	}
	if b.whole {
		return [][]int{every(len(tokens))}
	}
	return deal(s, tokens)
}

// deal is shards for s's threads. A GPU takes all rows at once.
func deal(s *torch.Scope, tokens []int) [][]int {
	if s.Engine().Device() != torch.CPU {
		return [][]int{every(len(tokens))}
	}
	return shards(tokens, s.Forks())
}

// step is one step in progress.
type step struct {
	*trainer
	batch    batch
	profiles int
	shards   [][]int
	share    []float32 // each row's of the loss
	parts    []part    // the source's, then the output's
	split    int       // where the output's begin
	losses   []float32 // of each row
}

// gradient computes each profile's loss, its mean over its rows, and the gradient of their sum by every param; it changes nothing else. nu is the noise of each.
func (t *trainer) gradient(ctx context.Context, b batch, nu []float64) (losses []float32, err error) {
	losses = make([]float32, len(nu))
	err = t.env.Engine.Train(ctx, func(s *torch.Scope) error {
		st := step{trainer: t, batch: b, profiles: len(nu), shards: b.shards(s), share: b.weights(), losses: make([]float32, len(b.examples))}
		if st.parts, err = t.source.fold(s, nu); err != nil {
			return err
		}
		st.split = len(st.parts)
		st.parts = append(st.parts, t.output.fold(s)...)
		found, err := s.Fork(len(st.shards), func(i int, s *torch.Scope) ([]torch.Tensor, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return st.shard(s, st.shards[i])
		})
		if err != nil {
			return err
		}
		for i, l := range st.losses {
			losses[b.of(i)] += l * st.share[i]
		}
		return st.backward(s, found)
	})
	return losses, err
}

// shard is the gradients of the trained parts as some rows see them.
func (st *step) shard(s *torch.Scope, rows []int) ([]torch.Tensor, error) {
	var trained []torch.Tensor
	owner := st.owners(s, rows)
	seen := rowParts{rows: owner.Defined()}
	for _, p := range st.parts {
		t := p.Tensor
		switch {
		case p.each && seen.rows:
			t = s.IndexSelect(t, 0, owner)
		case p.trained:
			t = s.Detach(t)
		}
		if p.trained {
			t = s.Param(t)
			trained = append(trained, t)
		}
		seen.list = append(seen.list, t)
	}
	of := func(list []torch.Tensor) rowParts { return rowParts{list, seen.rows} }
	x, err := st.batch.embed(s, rows, st.source.adapter(s, of(seen.list[:st.split])))
	if err != nil {
		return nil, err
	}
	z := st.output.logits(s, x, of(seen.list[st.split:]))
	examples, share := make([]Example, len(rows)), make([]float32, len(rows))
	for i, r := range rows {
		examples[i], share[i] = st.batch.examples[r], st.share[r]
	}
	each := st.output.loss(s, z, examples)
	loss := s.SumDim(s.Mul(each, s.Float32s(share, int64(len(share)))), false, 0)
	for i, l := range s.Values(each) {
		st.losses[rows[i]] = l
	}
	return s.Grad(loss, trained...), nil
}

// owners is whose the rows are, [B]; none for the only profile.
func (st *step) owners(s *torch.Scope, rows []int) torch.Tensor {
	if st.batch.owner == nil {
		return torch.Tensor{}
	}
	ids := make([]int64, len(rows))
	for i, r := range rows {
		ids[i] = int64(st.batch.owner[r])
	}
	return s.Int64s(ids, int64(len(ids)))
}

// backward adds up what the shards found and hands it to the params.
func (st *step) backward(s *torch.Scope, found [][]torch.Tensor) error {
	var ids, offsets torch.Tensor
	if st.batch.owner != nil {
		ids, offsets = st.byOwner(s)
	}
	var grads [2][]torch.Tensor // the source's, the output's
	n := 0
	for i, p := range st.parts {
		if !p.trained {
			continue
		}
		of := make([]torch.Tensor, len(found))
		for k := range found {
			of[k] = found[k][n]
		}
		n++
		whose := 0
		if i >= st.split {
			whose = 1
		}
		if p.each && st.batch.owner != nil {
			grads[whose] = append(grads[whose], sumRows(s, ids, offsets, of))
		} else {
			grads[whose] = append(grads[whose], sumAll(s, of))
		}
	}
	if err := st.source.backward(s, grads[0]); err != nil {
		return err
	}
	return st.output.backward(s, grads[1])
}

// byOwner is the rows, by their place in the shards' order, of one profile after another, and where each profile's begin.
func (st *step) byOwner(s *torch.Scope) (ids, offsets torch.Tensor) {
	of, at := make([][]int64, st.profiles), int64(0)
	for _, rows := range st.shards {
		for _, r := range rows {
			of[st.batch.owner[r]] = append(of[st.batch.owner[r]], at)
			at++
		}
	}
	var flat, begin []int64
	for _, rows := range of {
		begin, flat = append(begin, int64(len(flat))), append(flat, rows...)
	}
	return s.Int64s(flat, int64(len(flat))), s.Int64s(begin, int64(len(begin)))
}

// sumRows adds up rows' gradients [B,…] by profile: [P,x]. No profile's numbers meet another's, whatever they are.
func sumRows(s *torch.Scope, ids, offsets torch.Tensor, of []torch.Tensor) torch.Tensor {
	if !of[0].Defined() { // the loss reaches a part in all shards or in none
		return of[0]
	}
	return s.Block(func() torch.Tensor {
		flat := make([]torch.Tensor, len(of))
		for i, g := range of {
			flat[i] = s.Reshape(g, s.Shape(g)[0], -1)
		}
		return s.SumRows(s.Cat(flat, 0), ids, offsets)
	})
}

// sumAll adds up gradients of one shape.
func sumAll(s *torch.Scope, of []torch.Tensor) torch.Tensor {
	sum := of[0]
	for _, g := range of[1:] {
		if sum.Defined() {
			sum = s.Add(sum, g)
		}
	}
	return sum
}
