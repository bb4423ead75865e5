package main

import (
	"context"

	"github.com/xpeft/xpeft/sdk"
)

// predict answers batch after batch. The folder is opened to read: several processes may predict
// from it at once.
func (a *app) predict(ctx context.Context, f predictFlags, next func() (line, error)) (err error) {
	thresholds, err := byLabel("thresholds", f.thresholds)
	if err != nil {
		return err
	}
	p, err := a.open(ctx, f.engineFlags, true)
	if err != nil {
		return err
	}
	defer func() {
		if closed := p.Close(); err == nil {
			err = closed
		}
	}()
	var failed rowErrors
	err = eachBatch(f.batch, next, func(batch []line) error {
		rows, err := answer(ctx, p, f, thresholds, batch)
		if err != nil {
			return err
		}
		return a.printPredicted(rows, f.where, &failed)
	})
	if err != nil {
		return err
	}
	return failed.err()
}

func answer(ctx context.Context, p *sdk.Folder, f predictFlags, thresholds map[string]float64,
	batch []line) ([]predicted, error) {
	fallback := sdk.Fallback(f.fallback)
	if f.fallback == "error" {
		fallback = sdk.FallbackError
	}
	reqs := make([]sdk.Request, len(batch))
	for i, l := range batch {
		reqs[i] = sdk.Request{Profile: l.Profile, Text: l.Text, Pair: l.Pair, Fallback: fallback,
			NoTaught: f.noTaught, MinProbability: f.least, Thresholds: thresholds, Base: l.Profile == ""}
	}
	out, err := p.PredictBatch(ctx, reqs)
	if err != nil {
		return nil, err
	}
	rows := make([]predicted, len(batch))
	for i, l := range batch {
		rows[i] = newPredicted(l, out[i])
	}
	return rows, nil
}

func newPredicted(l line, q sdk.Prediction) predicted {
	r := predicted{Line: l.Number, Profile: l.Profile, Text: l.Text, Pair: l.Pair, err: q.Err}
	if q.Err != nil {
		return r
	}
	r.Source, r.Revision, r.Truncated = string(q.Source), q.Revision, q.Truncated
	if len(q.Probabilities) == 0 {
		r.Value = q.Value
		return r
	}
	r.Probabilities = q.Probabilities
	if r.Labels = q.Labels; r.Labels != nil {
		return r
	}
	r.Label, r.P, r.Model, r.Margin = q.Label, r.probability(q.Label), q.Model, &q.Margin
	return r
}
