package learner

import (
	"context"
	"math"
)

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
