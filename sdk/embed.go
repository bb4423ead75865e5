package sdk

import (
	"context"
	"fmt"
	"slices"

	"github.com/xpeft/xpeft/model"
)

// Embed gives the model's own embedding of each text, [texts][d], d the size of the model's states:
// of the bare encoder, pooled as its folder says (mean, [CLS] or the pooler), and not brought to
// length 1, even where the folder has a Normalize. Divide by the norm to compare by cosine. No
// profile is read, and no text is kept. Texts share forward passes with other calls, and are
// computed in Options.Precision as theirs are; a text gives the same bits whatever is beside it.
// Cost: a pass of each text and 4·d bytes of the answer. No texts are no embeddings and no error;
// ErrExample if a text shows nothing, ErrLimit beyond Options.Limits.Text. The end of a text that
// is longer than MaxTokens, or the folder's windows of it, is not read.
func (p *Folder) Embed(ctx context.Context, texts []string) ([][]float32, error) {
	leave, err := p.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for i, text := range texts {
		if err := p.checkText(text); err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
	}
	out := make([][]float32, 0, len(texts))
	for some := range slices.Chunk(texts, window) {
		seen, err := p.see(ctx, p.encodeTexts(some), false)
		if err != nil {
			return nil, err
		}
		for i := range seen {
			out = append(out, seen[i].x)
		}
	}
	return out, nil
}

// checkText says whether a text can be read.
func (p *Folder) checkText(text string) error {
	if fault := textFault(text, ""); fault != "" {
		return fmt.Errorf("%w: %s", ErrExample, fault)
	}
	return over("bytes of a text", len(text), "Text", p.options.Limits.Text)
}

// encodeTexts are texts as the model reads them.
func (p *Folder) encodeTexts(texts []string) []model.Encoding {
	out := make([]model.Encoding, len(texts))
	for i, text := range texts {
		p.read(&out[i], text, "")
	}
	return out
}

// sight is what the bare encoder makes of a text: its pooled embedding [d] and, where it is asked
// for, φ [D].
type sight struct{ x, phi []float32 }

// see asks the scheduler for the sights of texts, in the passes that answer Predict; with features
// in a folder that has axes.
func (p *Folder) see(ctx context.Context, texts []model.Encoding, features bool) ([]sight, error) {
	out, tickets := make([]sight, len(texts)), make([]*ticket, len(texts))
	c := &call{out: make([]Prediction, len(texts))}
	for i, text := range texts {
		out[i].x = make([]float32, p.encoder.Hidden())
		if features {
			out[i].phi = make([]float32, p.width())
		}
		tickets[i] = &ticket{request: &request{text: text, sight: &out[i]}, call: c, at: i}
	}
	if err := p.scheduler.run(ctx, c, tickets); err != nil {
		return nil, err // a pass under way may still write to out
	}
	return out, nil
}
