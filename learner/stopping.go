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

// watch measures the loss of profiles that are not trained on, served as the population is.
func (t *bankRun) watch(ctx context.Context) (stop bool, err error) {
	loss, err := t.watchLoss(ctx)
	if err != nil {
		return false, err
	}
	t.result.Watched = append(t.result.Watched, loss)
	if t.best.better(loss, t.all()) {
		t.result.Best = len(t.result.Losses)
		return false, nil
	}
	return t.config.WatchPatience > 0 && t.best.Waited >= t.config.WatchPatience || math.IsNaN(loss), nil
}

// watchLoss is the mean cross-entropy of the watched texts, each profile with its own prior and all
// with the population's mask and affine.
func (t *bankRun) watchLoss(ctx context.Context) (float64, error) {
	m := newMaskSource(t.live, Config{K: t.config.K, Tau: t.config.Tau}, nil, []*Logits{t.population()},
		[][]float32{meanOf(t.affines)})
	x, err := embedUnder(ctx, t.env, t.watched.examples, t.watched.stems, m)
	if err != nil {
		return 0, err
	}
	sum, n, d := 0.0, 0, t.env.width()
	for _, p := range t.job.Watch {
		sum += Score(t.output.head, p.Prior, x[n*d:(n+len(p.Held))*d], p.Held).Loss * float64(len(p.Held))
		n += len(p.Held)
	}
	return sum / float64(n), nil
}
