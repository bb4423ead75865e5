package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/xpeft/xpeft/internal/folder"
	"github.com/xpeft/xpeft/model"
)

// Predict answers one text for one profile. The error is ErrID for an empty id, unless
// PredictOptions.Base asks for the base, ErrProfileNotFound for an unknown one, unless
// PredictOptions.Fallback says otherwise, and ErrExample for a text of nothing visible: spaces,
// zero-width and control characters, marks alone. Cost: one forward pass of the encoder; the first
// one of a profile also folds its digits or masks (a few milliseconds). A text longer than
// MaxTokens, or than Config.Windows of these, loses its end, and Prediction.Truncated says so; one
// beyond Options.Limits.Text is ErrLimit.
func (p *Folder) Predict(ctx context.Context, id, text string, o *PredictOptions) (Prediction, error) {
	o = cmp.Or(o, &PredictOptions{})
	r := Request{Profile: id, Text: text, Pair: o.Pair, Base: o.Base, Fallback: o.Fallback, NoTaught: o.NoTaught,
		MinProbability: o.MinProbability, Thresholds: o.Thresholds}
	out, err := p.PredictBatch(ctx, []Request{r})
	if err != nil {
		return Prediction{}, err
	}
	return out[0], out[0].Err
}

// window is how many requests of a PredictBatch are read and wait at once, which bounds the memory
// of a batch of any size.
const window = 1024

// PredictBatch answers many requests of many profiles, with whatever heads. They are dealt to the
// forward passes as those of concurrent calls are, a pass a worker at a time. Each answer has its
// own Err, a *ProfileError, and sees one whole revision of its profile. The error is that of the
// whole batch: ctx's, ErrClosed, or a failed operator.
func (p *Folder) PredictBatch(ctx context.Context, reqs []Request) ([]Prediction, error) {
	leave, err := p.lifetime.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, end := p.options.span(ctx, "predict")
	out, err := p.predictAll(ctx, reqs)
	if end(firstOf(out, err)); err != nil {
		return nil, err
	}
	return out, nil
}

// firstOf is the error of a call, or of the first row that has one.
func firstOf(out []Prediction, err error) error {
	for i := 0; i < len(out) && err == nil; i++ {
		err = out[i].Err
	}
	return err
}

func (p *Folder) predictAll(ctx context.Context, reqs []Request) ([]Prediction, error) {
	out := make([]Prediction, 0, len(reqs))
	for at := 0; at < len(reqs); at += window {
		some, err := p.predict(ctx, reqs[at:min(at+window, len(reqs))])
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func (p *Folder) predict(ctx context.Context, reqs []Request) ([]Prediction, error) {
	c := &call{out: make([]Prediction, len(reqs))}
	tickets := make([]*ticket, 0, len(reqs))
	for i, r := range reqs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		got, err := p.resolve(r)
		if err != nil {
			c.out[i] = Prediction{Profile: r.Profile, Err: err}
			continue
		}
		tickets = append(tickets, &ticket{request: got, call: c, at: i})
	}
	if err := p.scheduler.run(ctx, c, tickets); err != nil {
		return nil, err
	}
	for i := range c.out {
		c.out[i].Err = ofProfile(reqs[i].Profile, c.out[i].Err)
	}
	return c.out, nil
}

// request is a Request with all that answers it: one revision, read once.
type request struct {
	profile  string
	text     model.Encoding
	snapshot *snapshot // nil: the base
	source   Source
	taught   string // the label of a stored example of the text; empty: none
	least    float32
	multi    bool // labels are not exclusive
	// from which probability on single labels are given: what the caller says, and the folder
	asked, usual map[string]float64
	head         *model.Head
	offset       []float32
	texts        *jointBank // that know what the head says of single texts; nil: none do
	sight        *sight     // to be filled instead of an answer; nil: a head answers
}

// resolve reads the profile and tokenizes the text.
func (p *Folder) resolve(r Request) (*request, error) {
	if fault := textFault(r.Text, r.Pair); fault != "" {
		return nil, fmt.Errorf("%w: %s", ErrExample, fault)
	}
	if err := p.checkPair(r.Pair); err != nil {
		return nil, err
	}
	if err := over("bytes of a text", len(r.Text)+len(r.Pair), "Text", p.options.Limits.Text); err != nil {
		return nil, err
	}
	if r.Fallback != FallbackError && r.Fallback != FallbackBase {
		return nil, fmt.Errorf("%w: fallback %q: want %q, or none for an error", ErrConfig, r.Fallback, FallbackBase)
	}
	if p := r.MinProbability; !(p >= 0 && p <= 1) {
		return nil, fmt.Errorf("%w: a least probability of %g, want 0 to 1", ErrConfig, p)
	}
	got := &request{profile: r.Profile, source: SourceBase, least: float32(r.MinProbability), multi: p.options.multi,
		usual: p.options.thresholds}
	if !r.Base {
		if err := p.options.Limits.checkID(r.Profile); err != nil {
			return nil, err
		}
		own, taught, err := p.snapshotTold(r)
		none := errors.Is(err, ErrProfileNotFound) && r.Fallback == FallbackBase
		if err != nil && !none {
			return nil, err
		}
		if !none {
			got.snapshot, got.taught, got.source = own, taught, SourceProfile
		}
	}
	if s := got.snapshot; s != nil {
		got.head, got.offset, got.texts = s.head, s.offset, s.texts
	} else if err := p.bare(got); err != nil {
		return nil, err
	}
	var err error
	if got.asked, err = p.options.cleanThresholds(r.Thresholds, got.head.Labels); err != nil {
		return nil, err
	}
	p.read(&got.text, r.Text, r.Pair)
	return got, nil
}

// bare makes the shared head answer alone.
func (p *Folder) bare(got *request) error {
	h, ref, err := p.shared()
	if err != nil {
		return err
	}
	if got.head = h; got.multi {
		got.offset = oddsOf(nil, len(h.Labels))
	}
	got.texts, err = p.textsBeside(ref)
	return err
}

// tokens is the text's length, [CLS] and [SEP] included.
func (r *request) tokens() int { return len(r.text.IDs) }

// errNotFinite is what a profile gives that was made to: Learn installs none.
var errNotFinite = fmt.Errorf("%w: the profile's weights give no finite answer", ErrCorrupt)

// logits are those of the head, prior, bias and digits, and what is known of the text itself, over
// the temperature.
func (r *request) logits(x []float32, code codeRows) []float32 {
	z := r.head.Logits(make([]float32, 0, r.head.Outputs()), x)
	for c := range r.offset {
		z[c] += r.offset[c]
	}
	for c := range code.offset {
		z[c] += code.offset[c]
	}
	for c, row := range code.rows {
		z[c] += model.Dot(row, x)
	}
	r.texts.addText(z, &r.text, code.levels)
	if s := r.snapshot; s != nil && s.heat != 1 {
		for c := range z {
			z[c] /= s.heat
		}
	}
	return z
}

// answer is what the request's head says of what it sees, and what the profile's digits add.
func (r *request) answer(x []float32, code codeRows) (out Prediction) {
	out = Prediction{Profile: r.profile, Truncated: r.text.Truncated}
	z := r.logits(x, code)
	if out.Source = r.source; r.source == SourceProfile {
		out.Revision = r.snapshot.revision
	}
	if r.head.Regression() {
		v := float64(z[0])
		if out.Value = &v; v-v != 0 {
			out.Err = errNotFinite
		}
		return out
	}
	if r.multi {
		r.decide(z, &out)
		return out
	}
	best, first, second := 0, float32(0), float32(0)
	probabilities := make([]Probability, len(z))
	for c, prob := range model.Softmax(z) {
		probabilities[c] = Probability{Label: r.head.Labels[c], P: prob}
		if prob > first {
			best, first, second = c, prob, first
		} else {
			second = max(second, prob)
		}
	}
	if z[best] != z[best] {
		out.Err = errNotFinite
		return out
	}
	out.Model, out.Probabilities, out.Margin = r.head.Labels[best], probabilities, first-second
	switch {
	case r.taught != "" && !folder.Reserved(r.taught):
		out.Label, out.Source = r.taught, SourceTaught
	case first >= r.least:
		out.Label = out.Model
	}
	return out
}
