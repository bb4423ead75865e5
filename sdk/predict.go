//go:build cgo

package sdk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/model"
)

// Predict answers one text for one profile. The error is ErrProfileNotFound for an unknown one, unless WithFallback says otherwise. Cost: one forward
// pass of the encoder; the first one of a profile also folds its adapter (a few milliseconds). A text longer than MaxTokens loses its end.
func (p *SDK) Predict(ctx context.Context, id, text string, opts ...PredictOption) (Prediction, error) {
	r := Request{Profile: id, Text: text}
	for _, o := range opts {
		o(&r)
	}
	if r.Profile == "" {
		return Prediction{}, fmt.Errorf("%w: an empty one", ErrID)
	}
	out, err := p.PredictBatch(ctx, []Request{r})
	if err != nil {
		return Prediction{}, err
	}
	return out[0], out[0].Err
}

// maxRows is how many texts share a forward pass; more are split, longest together.
const maxRows = 64

// PredictBatch answers many requests of many profiles, with whatever heads, in as few forward passes as fit: one for up to 64 rows over one bank. Each row
// has its own Err, and sees one whole revision of its profile. The error is that of the whole batch: ctx's, ErrClosed, or a failed operator.
func (p *SDK) PredictBatch(ctx context.Context, reqs []Request) ([]Prediction, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	rows, out := make([]row, 0, len(reqs)), make([]Prediction, len(reqs))
	for i, r := range reqs {
		got, err := p.resolve(r)
		out[i].Profile = r.Profile
		if err != nil {
			out[i].Err = err
			continue
		}
		got.at = i
		rows = append(rows, got)
	}
	for _, part := range split(rows) {
		if err := p.forward(ctx, part, out); err != nil {
			return nil, err
		}
	}
	p.counters.predictions.Add(int64(len(rows)))
	return out, nil
}

// row is a request with all that answers it: one revision, read once.
type row struct {
	at       int // in the answer
	text     model.Encoding
	snapshot *snapshot // nil: the base
	head     *model.Head
	offset   []float32
}

// resolve reads the profile and tokenizes the text.
func (p *SDK) resolve(r Request) (row, error) {
	if r.Text == "" {
		return row{}, fmt.Errorf("%w: an empty text", ErrExample)
	}
	if r.Fallback != FallbackError && r.Fallback != FallbackBase {
		return row{}, fmt.Errorf("%w: fallback %q", ErrConfig, r.Fallback)
	}
	got := row{}
	if r.Profile != "" {
		snap, err := p.snapshot(r.Profile)
		switch {
		case err == nil:
			got.snapshot, got.head, got.offset = snap, snap.head, snap.offset
		case errors.Is(err, ErrProfileNotFound) && r.Fallback == FallbackBase:
		default:
			return row{}, err
		}
	}
	if got.head == nil {
		h, _, err := p.shared()
		if err != nil {
			return row{}, err
		}
		got.head = h
	}
	p.tokenizer.Encode(&got.text, r.Text, r.Pair, p.maxTokens)
	return got, nil
}

// split makes batches: rows of one adapter shape together, the base with any of them, longest first.
func split(rows []row) [][]row {
	if len(rows) == 0 {
		return nil
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b row) int {
		if c := a.shape().compare(b.shape()); c != 0 {
			return c
		}
		return len(b.text.IDs) - len(a.text.IDs)
	})
	var parts [][]row
	start := 0
	for i := 1; i <= len(rows); i++ {
		full := i-start == maxRows
		if i == len(rows) || full || !rows[i].shape().joins(rows[i-1].shape()) {
			parts = append(parts, rows[start:i])
			start = i
		}
	}
	return parts
}

// answer fills in what a pooled embedding says through the row's head.
func (r *row) answer(out *Prediction, x []float32) {
	z := r.head.Logits(make([]float32, 0, r.head.Outputs()), x)
	out.Source = SourceBase
	if r.snapshot != nil {
		out.Source, out.Revision = SourceProfile, r.snapshot.revision
	}
	if r.head.Regression() {
		out.Value = float64(z[0])
		return
	}
	for c := range r.offset {
		z[c] += r.offset[c]
	}
	best := 0
	out.Probabilities = make([]Probability, len(z))
	for c, prob := range model.Softmax(z) {
		out.Probabilities[c] = Probability{Label: r.head.Labels[c], P: prob}
		if prob > z[best] {
			best = c
		}
	}
	out.Label = r.head.Labels[best]
}
