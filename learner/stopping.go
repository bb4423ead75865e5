//go:build cgo

package learner

import (
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// snapshot is the best epoch's values.
type snapshot struct {
	loss   float64
	waited int // epochs since
	values [][]float32
}

func (b *snapshot) restore(params []*param) {
	for i, p := range params {
		if b.values != nil {
			copy(p.value, b.values[i])
		}
	}
}

// watch scores the held-out examples after an epoch, without noise, and says whether patience ended.
func (r *run) watch(ctx context.Context) (stop bool, err error) {
	x := r.held.features
	if x == nil {
		x, err = embedAll(ctx, r.env, r.job.Held, r.held.stems, func(s *torch.Scope) (*model.Adapter, error) {
			return solo(s, r.trainer.source)
		})
		if err != nil {
			return false, err
		}
	}
	out := r.trainer.output
	sc := Score(out.heads[0], out.offset(), x, r.job.Held)
	r.result.Held = append(r.result.Held, sc)
	if b := &r.best; b.values == nil || sc.Loss < b.loss {
		b.loss, b.waited, b.values = sc.Loss, 0, nil
		for _, p := range r.trainer.opt.params {
			b.values = append(b.values, slices.Clone(p.value))
		}
		return false, nil
	}
	r.best.waited++
	return r.best.waited >= r.config.Patience || math.IsNaN(sc.Loss), nil
}
