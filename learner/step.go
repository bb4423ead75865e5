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

// batch is a step's examples. embed makes their pooled embeddings [B,H] under the step's adapter.
type batch struct {
	examples []Example
	owner    []int64 // whose row each is; nil: all of the only profile
	embed    func(*torch.Scope, *model.Adapter) torch.Tensor
}

// gradient computes a batch's loss and every param's gradient, and changes nothing else.
func (t *trainer) gradient(ctx context.Context, b batch, nu float64) (loss float32, err error) {
	err = t.env.Engine.Train(ctx, func(s *torch.Scope) error {
		a, folded, err := t.source.adapter(s, nu, b.owner)
		if err != nil {
			return err
		}
		x := b.embed(s, a)
		z, rest := t.output.logits(s, x, b.owner)
		l := t.output.loss(s, z, b.examples)
		wanted := append(folded, rest...)
		grads := s.Grad(l, wanted...)
		if err := t.source.backward(s, grads[:len(folded)]); err != nil {
			return err
		}
		if err := t.output.backward(s, grads[len(folded):]); err != nil {
			return err
		}
		loss = s.Values(l)[0]
		return nil
	})
	return loss, err
}

// step is gradient and one update.
func (t *trainer) step(ctx context.Context, b batch, nu, rate float64) (float32, error) {
	loss, err := t.gradient(ctx, b, nu)
	if err == nil {
		t.opt.update(rate)
	}
	return loss, err
}
