//go:build cgo

package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/xpeft/xpeft/model"
)

// Predict answers one text for one profile. The error is ErrProfileNotFound for an unknown one, unless WithFallback says otherwise, and ErrExample for a
// text of nothing but spaces. Cost: one forward pass of the encoder; the first one of a profile also folds its adapter (a few milliseconds).
// A text longer than MaxTokens loses its end; one of more than 1 MiB is ErrLimit.
func (p *SDK) Predict(ctx context.Context, id, text string, opts ...PredictOption) (Prediction, error) {
	r := Request{Profile: id, Text: text}
	for _, o := range opts {
		o(&r)
	}
	if err := checkID(id); err != nil {
		return Prediction{}, err
	}
	out, err := p.PredictBatch(ctx, []Request{r})
	if err != nil {
		return Prediction{}, err
	}
	return out[0], out[0].Err
}

// maxRows is how many texts share a forward pass; more are split, longest together.
const maxRows = 64

// window is how many requests are read and sorted at once, which bounds the memory of a batch of any size.
const window = 16 * maxRows

// PredictBatch answers many requests of many profiles, with whatever heads, in one forward pass a core, of up to 64 rows. Each row
// has its own Err, and sees one whole revision of its profile. The error is that of the whole batch: ctx's, ErrClosed, or a failed operator.
func (p *SDK) PredictBatch(ctx context.Context, reqs []Request) ([]Prediction, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	out := make([]Prediction, len(reqs))
	for at := 0; at < len(reqs); at += window {
		end := min(at+window, len(reqs))
		if err := p.predict(ctx, reqs[at:end], out[at:end]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *SDK) predict(ctx context.Context, reqs []Request, out []Prediction) error {
	rows := make([]row, 0, len(reqs))
	for i, r := range reqs {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, err := p.resolve(ctx, r)
		out[i].Profile = r.Profile
		if err != nil {
			out[i].Err = err
			continue
		}
		got.at = i
		rows = append(rows, got)
	}
	parts := split(rows, p.options.Workers)
	if len(parts) == 1 {
		return p.forward(ctx, parts[0], out)
	}
	errs := make([]error, len(parts))
	turns := make(chan struct{}, p.options.Workers)
	var all sync.WaitGroup
	for i, part := range parts {
		turns <- struct{}{}
		all.Add(1)
		go func() {
			defer all.Done()
			errs[i] = p.forward(ctx, part, out)
			<-turns
		}()
	}
	all.Wait()
	return errors.Join(errs...)
}

// row is a request with all that answers it: one revision, read once.
type row struct {
	at       int // in the answer
	text     model.Encoding
	snapshot *snapshot // nil: the base
	source   Source
	head     *model.Head
	offset   []float32
}

// resolve reads the profile and tokenizes the text.
func (p *SDK) resolve(ctx context.Context, r Request) (row, error) {
	if strings.TrimSpace(r.Text) == "" {
		return row{}, fmt.Errorf("%w: no text", ErrExample)
	}
	if n := len(r.Text) + len(r.Pair); n > maxText {
		return row{}, fmt.Errorf("%w: a text of %d bytes, at most %d", ErrLimit, n, maxText)
	}
	if !slices.Contains(fallbacks, r.Fallback) {
		return row{}, fmt.Errorf("%w: fallback %q", ErrConfig, r.Fallback)
	}
	got := row{source: SourceBase}
	if r.Profile != "" {
		err := checkID(r.Profile)
		if err == nil {
			got.snapshot, got.source, err = p.serving(ctx, r.Profile, r.Fallback)
		}
		if err != nil {
			return row{}, err
		}
	}
	if s := got.snapshot; s != nil {
		got.head, got.offset = s.head, s.offset
	} else {
		h, _, err := p.shared()
		if err != nil {
			return row{}, err
		}
		got.head = h
	}
	p.tokenizer.Encode(&got.text, r.Text, r.Pair, p.maxTokens)
	return got, nil
}

// minRows is the least worth a forward pass of its own on another core.
const minRows = 8

// split makes batches: rows of one adapter shape together, the base with the first of them, longest first, and no more rows in one than its share
// among the workers.
func split(rows []row, workers int) [][]row {
	most := min(max((len(rows)+workers-1)/workers, minRows), maxRows)
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(a.shape().compare(b.shape()), len(b.text.IDs)-len(a.text.IDs))
	})
	var parts [][]row
	start, of := 0, shape{} // of: the shape of the part that begins at start
	for i, r := range rows {
		s := r.shape()
		if i-start == most || s != of && s != (shape{}) && of != (shape{}) {
			parts = append(parts, rows[start:i])
			start, of = i, shape{}
		}
		if of == (shape{}) {
			of = s
		}
	}
	if start < len(rows) {
		parts = append(parts, rows[start:])
	}
	return parts
}

// errNotFinite is what a profile gives that was made to: Learn installs none.
var errNotFinite = fmt.Errorf("%w: the profile's weights give no finite answer", ErrCorrupt)

// answer fills in what a pooled embedding says through the row's head.
func (r *row) answer(out *Prediction, x []float32) {
	z := r.head.Logits(make([]float32, 0, r.head.Outputs()), x)
	if out.Source = r.source; r.source == SourceProfile {
		out.Revision = r.snapshot.revision
	}
	if r.head.Regression() {
		if out.Value = float64(z[0]); out.Value-out.Value != 0 {
			out.Err = errNotFinite
		}
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
	if p := z[best]; p != p {
		out.Label, out.Probabilities, out.Err = "", nil, errNotFinite
	}
}
