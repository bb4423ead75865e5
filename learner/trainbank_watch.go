//go:build cgo

package learner

import (
	"context"
	"math"
	"slices"

	"github.com/xpeft/xpeft/internal/torch"
	"github.com/xpeft/xpeft/model"
)

// watch measures the loss of profiles that are not trained on, served as the population is.
func (t *bankRun) watch(ctx context.Context) (stop bool, err error) {
	loss, err := t.watchLoss(ctx)
	if err != nil {
		return false, err
	}
	t.result.Watched = append(t.result.Watched, loss)
	if b := &t.best; b.values == nil || loss < b.loss {
		b.loss, b.waited, b.values = loss, 0, nil
		for _, p := range t.all() {
			b.values = append(b.values, slices.Clone(p.value))
		}
		t.result.Best = len(t.result.Losses)
		return false, nil
	}
	t.best.waited++
	return t.config.WatchPatience > 0 && t.best.waited >= t.config.WatchPatience || math.IsNaN(loss), nil
}

// watchLoss is the mean cross-entropy of the watched texts, each profile with its own prior and all with the population's mask and affine.
func (t *bankRun) watchLoss(ctx context.Context) (float64, error) {
	m := &maskSource{bank: t.live, k: t.config.K, tau: t.config.Tau}
	m.add(newParam(t.population().Values, 0), newParam(meanOf(t.affines), 0))
	x, err := embedAll(ctx, t.env, t.watched.examples, t.watched.stems, func(s *torch.Scope) (*model.Adapter, error) {
		return solo(s, uploading{m, t.live})
	})
	if err != nil {
		return 0, err
	}
	sum, n, d := 0.0, 0, t.env.Encoder.Hidden()
	for _, p := range t.job.Watch {
		sum += Score(t.output.heads[0], p.Prior, x[n*d:(n+len(p.Held))*d], p.Held).Loss * float64(len(p.Held))
		n += len(p.Held)
	}
	return sum / float64(n), nil
}
