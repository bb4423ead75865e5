package learner

import (
	"context"
	"math"
	"slices"
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

// watch scores the held-out examples after an epoch, without noise, and says whether patience
// ended.
func (r *run) watch(ctx context.Context) (stop bool, err error) {
	x := r.held.features
	if x == nil {
		if x, err = embedUnder(ctx, r.env, r.job.Held, r.held.stems, r.trainer.source); err != nil {
			return false, err
		}
	}
	out := r.trainer.outputs[0]
	sc := Score(out.head, out.offset(), x, r.job.Held)
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
