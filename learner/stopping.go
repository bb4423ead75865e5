package learner

import (
	"context"
	"math"
	"slices"
)

// kept is the best look's values; a checkpoint has them.
type kept struct {
	Loss   float64
	Waited int // looks since
	Values [][]float32
}

// better keeps values that lose less than all before, and counts others.
func (b *kept) better(loss float64, params []*param) bool {
	if b.Values != nil && !(loss < b.Loss) {
		b.Waited++
		return false
	}
	b.Loss, b.Waited, b.Values = loss, 0, nil
	for _, p := range params {
		b.Values = append(b.Values, slices.Clone(p.value))
	}
	return true
}

func (b *kept) restore(params []*param) {
	for i, p := range params {
		if b.Values != nil {
			copy(p.value, b.Values[i])
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
	if r.best.better(sc.Loss, r.trainer.opt.params) {
		return false, nil
	}
	return r.best.Waited >= r.config.Patience || math.IsNaN(sc.Loss), nil
}
