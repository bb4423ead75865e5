package sdk

import (
	"context"
	"fmt"

	"github.com/xpeft/xpeft/internal/engine"
	"github.com/xpeft/xpeft/learner"
	"github.com/xpeft/xpeft/model"
)

// What a head sees of a text is φ in a folder with axes, and the pooled embedding of the last block
// in one without. Records of earlier versions have heads over the pooled embedding in a folder with
// axes: they are answered so until their profile learns next.

// width is how many values a head sees.
func (p *Folder) width() int {
	if p.axes == nil {
		return p.encoder.Hidden()
	}
	return p.axes.Dim()
}

// checkWidth says whether the folder has what a head is over.
func (p *Folder) checkWidth(h *model.Head) error {
	if h.Hidden == p.encoder.Hidden() || h.Hidden == p.width() {
		return nil
	}
	return fmt.Errorf("%w: a head over %d values, the model gives %d", ErrMismatch, h.Hidden, p.width())
}

// encodings are the texts of examples.
func encodings(examples []learner.Example) []model.Encoding {
	out := make([]model.Encoding, len(examples))
	for i, e := range examples {
		out[i] = e.Text
	}
	return out
}

// features is what heads see of texts, [texts, width]. Cost: a forward pass of the bare encoder for
// each of them that is no other's twin, nor was there before in a call that shares them.
func (p *Folder) features(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	shared, _ := ctx.Value(sharedFeatures{}).(*keptFeatures)
	return shared.rowsOf(texts, p.width(), func(missing []model.Encoding) ([]float32, error) {
		return p.pass(ctx, missing)
	})
}

// sharedFeatures is where a context says which φ its call has already: of people who learn at once,
// many have the same texts.
type sharedFeatures struct{}

// sharedSights is where it says which embeddings and φ it has of texts that were chosen among.
type sharedSights struct{}

func (p *Folder) sharing(ctx context.Context) context.Context {
	ctx = context.WithValue(ctx, sharedSights{}, &keptFeatures{room: p.kept.room})
	return context.WithValue(ctx, sharedFeatures{}, &keptFeatures{room: p.kept.room})
}

// pass is features by a forward pass.
func (p *Folder) pass(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	if p.axes == nil {
		return p.pooled(ctx, texts)
	}
	_, phi, err := p.embed(ctx, texts)
	return phi, err
}

// embed is the pooled embeddings of texts, [texts, d], and their φ, [texts, D].
func (p *Folder) embed(ctx context.Context, texts []model.Encoding) (x, phi []float32, err error) {
	x, phi = make([]float32, len(texts)*p.encoder.Hidden()), make([]float32, len(texts)*p.axes.Dim())
	if len(texts) == 0 {
		return x, phi, ctx.Err()
	}
	if err := p.engine.Embed(ctx, engine.Rows{Texts: texts}, nil, x, p.axes.Taps, phi); err != nil {
		return nil, nil, err
	}
	p.axes.Phi(phi[:0], phi)
	return x, phi, nil
}

// pooled is the pooled embeddings of texts, [texts, d].
func (p *Folder) pooled(ctx context.Context, texts []model.Encoding) ([]float32, error) {
	x := make([]float32, len(texts)*p.encoder.Hidden())
	return x, p.engine.Embed(ctx, engine.Rows{Texts: texts}, nil, x, nil, nil)
}

// row is one of some pooled embeddings.
func (p *Folder) row(x []float32, i int) []float32 {
	d := p.encoder.Hidden()
	return x[i*d : (i+1)*d]
}
